// @ts-check
/** Which of two mixtures of colours a pixel is likelier of (`vision/segmentation/colours.py`). */

const GAUSSIANS = 5;
const ROUNDS = 8;
const MAX_SAMPLES = 4000;
/** Standard deviation that is added to every Gaussian: noise, and JPEG. */
const NARROWEST = 0.025;

/** @typedef {number[]} Colour */
/** @typedef {{mean: Colour, whitening: number[][], height: number}} Gaussian  `whitening` brings a difference from the mean to unit variance. */

/**
 * @param {Colour} a
 * @param {Colour} b
 */
function apart(a, b) {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
}

/** @param {Colour[]} colours */
function mean(colours) {
  const sum = [0, 0, 0];
  for (const colour of colours) for (let c = 0; c < 3; c += 1) sum[c] += colour[c];
  return sum.map((value) => value / colours.length);
}

/**
 * Fit a mixture of Gaussians.
 *
 * @param {Colour[]} all at least one
 * @returns {Gaussian[]}
 */
export function fit(all) {
  const step = Math.ceil(all.length / MAX_SAMPLES);
  const colours = all.filter((_, i) => i % step === 0);
  let means = spread(colours);
  for (let i = 0; i < ROUNDS; i += 1) means = grouped(colours, means).map(mean);
  return grouped(colours, means).map((group) => gaussian(group, group.length / colours.length));
}

/**
 * Colours by their nearest mean; groups that are empty are left out.
 *
 * @param {Colour[]} colours
 * @param {Colour[]} means
 */
function grouped(colours, means) {
  /** @type {Colour[][]} */
  const groups = means.map(() => []);
  for (const colour of colours) {
    let [best, least] = [0, Infinity];
    for (let k = 0; k < means.length; k += 1) {
      const away = apart(colour, means[k]);
      if (away < least) [best, least] = [k, away];
    }
    groups[best].push(colour);
  }
  return groups.filter((group) => group.length);
}

/**
 * Colours far apart: the mean, then again and again the one farthest from all.
 *
 * @param {Colour[]} colours
 */
function spread(colours) {
  const chosen = [mean(colours)];
  const away = colours.map((colour) => apart(colour, chosen[0]));
  for (let i = 1; i < GAUSSIANS; i += 1) {
    let far = 0;
    for (let k = 1; k < away.length; k += 1) if (away[k] > away[far]) far = k;
    const next = colours[far];
    chosen.push(next);
    colours.forEach((colour, k) => (away[k] = Math.min(away[k], apart(colour, next))));
  }
  return chosen;
}

/**
 * @param {Colour[]} group
 * @param {number} share
 * @returns {Gaussian}
 */
function gaussian(group, share) {
  const middle = mean(group);
  const s = [0, 1, 2].map((i) => [0, 1, 2].map((j) => {
    let sum = 0;
    for (const colour of group) sum += (colour[i] - middle[i]) * (colour[j] - middle[j]);
    return sum / group.length + (i === j ? NARROWEST ** 2 : 0);
  }));
  const minor = (/** @type {number} */ i, /** @type {number} */ j) => {
    const [a, b, c, d] = [(i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3];
    return s[a][c] * s[b][d] - s[a][d] * s[b][c];
  };
  const determinant = s[0][0] * minor(0, 0) + s[0][1] * minor(0, 1) + s[0][2] * minor(0, 2);
  const whitening = triangle([0, 1, 2].map((i) => [0, 1, 2].map((j) => minor(j, i) / determinant)));
  // The determinant of a triangular matrix is the product of its diagonal.
  const height = Math.log(share) + whitening.reduce((sum, row, i) => sum + Math.log(row[i]), 0);
  return { mean: middle, whitening, height };
}

/**
 * The lower triangle whose product with its mirror image is a matrix (Cholesky).
 *
 * @param {number[][]} matrix
 */
function triangle(matrix) {
  const made = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  for (let i = 0; i < 3; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let rest = matrix[i][j];
      for (let k = 0; k < j; k += 1) rest -= made[i][k] * made[j][k];
      made[i][j] = i === j ? Math.sqrt(rest) : rest / made[j][j];
    }
  }
  return made;
}

/**
 * The logarithm of a colour's density, that of its likeliest Gaussian.
 *
 * @param {Gaussian[]} mixture
 * @param {Colour} colour
 */
export function logDensity(mixture, colour) {
  let best = -Infinity;
  for (const { mean: middle, whitening, height } of mixture) {
    let square = 0;
    for (let j = 0; j < 3; j += 1) {
      let white = 0;
      for (let i = j; i < 3; i += 1) white += (colour[i] - middle[i]) * whitening[i][j];
      square += white * white;
    }
    best = Math.max(best, height - 0.5 * square);
  }
  return best;
}
