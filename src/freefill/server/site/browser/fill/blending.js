// @ts-check
/** The fill is brought to the colours around it (`pipeline/blending.py`). */

/** @typedef {import('./seen.js').Seen} Seen */
/**
 * @typedef {object} Colours Some numbers for each pixel, row after row.
 * @property {number} rows
 * @property {number} columns
 * @property {Float32Array} data
 */

const ENOUGH = 0.1;
const BESIDE = [[1, 0], [-1, 0], [0, 1], [0, -1]];

/**
 * Take the step out of the rim of a fill.
 *
 * @param {Float32Array} completed the picture, filled, three colours a pixel in [0, 1]; changed in place
 * @param {Seen} seen what is known of it
 */
export function blend(completed, seen) {
  const box = around(seen);
  if (!box) return;
  const { left, top, rows, columns } = box;
  const steps = stepsOf(completed, seen, box);
  const missing = doubled(spread(steps), rows, columns);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const at = (top + y) * seen.columns + left + x;
      if (seen.share[at] >= 1) continue;
      for (let c = 0; c < 3; c += 1) {
        const value = completed[3 * at + c] + missing.data[3 * (y * columns + x) + c];
        completed[3 * at + c] = Math.min(1, Math.max(0, value));
      }
    }
  }
}

/**
 * Where something was filled, and one pixel more.
 *
 * @param {Seen} seen
 */
function around({ rows, columns, share }) {
  let [left, top, right, bottom] = [columns, rows, -1, -1];
  for (let y = 0, at = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1, at += 1) {
      if (share[at] >= 1) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  if (right < 0) return null;
  left = Math.max(left - 1, 0);
  top = Math.max(top - 1, 0);
  return { left, top, rows: Math.min(bottom + 2, rows) - top, columns: Math.min(right + 2, columns) - left };
}

/**
 * Add up the steps from pixels of the fill to what is known, in cells of 2 by 2.
 *
 * @param {Float32Array} completed
 * @param {Seen} seen
 * @param {{left: number, top: number, rows: number, columns: number}} box
 * @returns {Colours} values times their weight, and the weight
 */
function stepsOf(completed, seen, { left, top, rows, columns }) {
  const across = Math.ceil(columns / 2);
  const down = Math.ceil(rows / 2);
  const sums = new Float64Array(4 * across * down);
  const { share, colours } = seen;
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const at = (top + y) * seen.columns + left + x;
      if (share[at] >= 1) continue;
      const cell = 4 * ((y >> 1) * across + (x >> 1));
      if (share[at] >= ENOUGH) {
        // It counts as often as all the neighbours that it could have.
        for (let c = 0; c < 3; c += 1) sums[cell + c] += 4 * (colours[3 * at + c] - completed[3 * at + c]);
        sums[cell + 3] += 4;
      }
      for (const [dy, dx] of BESIDE) {
        if (y + dy < 0 || y + dy >= rows || x + dx < 0 || x + dx >= columns) continue;
        const other = at + dy * seen.columns + dx;
        if (share[other] < 1) continue;
        for (let c = 0; c < 3; c += 1) sums[cell + c] += completed[3 * other + c] - completed[3 * at + c];
        sums[cell + 3] += 1;
      }
    }
  }
  return { rows: down, columns: across, data: Float32Array.from(sums) };
}

/**
 * Continue values into where there is no weight: coarser and coarser, and back.
 *
 * @param {Colours} known values times their weight, and the weight, 0 or at least 1
 * @returns {Colours} values
 */
export function spread(known) {
  const { rows, columns, data } = known;
  const coarse = rows > 1 || columns > 1 ? doubled(spread(halved(known)), rows, columns).data : null;
  const filled = new Float32Array(3 * rows * columns);
  for (let i = 0; i < rows * columns; i += 1) {
    const weight = data[4 * i + 3];
    const rest = coarse ? 1 - Math.min(weight, 1) : 0;
    for (let c = 0; c < 3; c += 1) {
      filled[3 * i + c] = data[4 * i + c] / Math.max(weight, 1) + (coarse ? coarse[3 * i + c] * rest : 0);
    }
  }
  return { rows, columns, data: filled };
}

/**
 * @param {Colours} fine
 * @returns {Colours}
 */
function halved({ rows, columns, data }) {
  const half = { rows: Math.ceil(rows / 2), columns: Math.ceil(columns / 2) };
  const sums = new Float32Array(4 * half.rows * half.columns);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const to = 4 * ((y >> 1) * half.columns + (x >> 1));
      for (let c = 0; c < 4; c += 1) sums[to + c] += data[4 * (y * columns + x) + c];
    }
  }
  return { ...half, data: sums };
}

/**
 * Enlarge bilinearly by two, and cut to a size.
 *
 * @param {Colours} coarse
 * @param {number} rows
 * @param {number} columns
 * @returns {Colours}
 */
function doubled(coarse, rows, columns) {
  const data = new Float32Array(3 * rows * columns);
  const far = (/** @type {number} */ at, /** @type {number} */ length) =>
    Math.min(Math.max((at >> 1) + (at % 2 ? 1 : -1), 0), length - 1);
  for (let y = 0; y < rows; y += 1) {
    const near = (y >> 1) * coarse.columns;
    const next = far(y, coarse.rows) * coarse.columns;
    for (let x = 0; x < columns; x += 1) {
      const beside = far(x, coarse.columns);
      for (let c = 0; c < 3; c += 1) {
        const one = 0.75 * coarse.data[3 * (near + (x >> 1)) + c] + 0.25 * coarse.data[3 * (next + (x >> 1)) + c];
        const two = 0.75 * coarse.data[3 * (near + beside) + c] + 0.25 * coarse.data[3 * (next + beside) + c];
        data[3 * (y * columns + x) + c] = 0.75 * one + 0.25 * two;
      }
    }
  }
  return { rows, columns, data };
}
