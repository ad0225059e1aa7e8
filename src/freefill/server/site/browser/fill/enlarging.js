// @ts-check
/** A thin hole is seen large (`pipeline/enlarging.py`). */

/** @typedef {import('./seen.js').Seen} Seen */

// Bicubic (a = -0.5): weights of both halves of a pixel, of the four pixels from two before it, and from one before it.
const TAPS = [[-3, 29, 111, -9], [-9, 111, 29, -3]];
const LEAST = 0.5;

/**
 * Double a crop, with nothing of what is unknown in what is known.
 *
 * @param {Seen} seen shares are 0 or 1
 * @returns {Seen}
 */
export function enlarged({ rows, columns, colours, share }) {
  const weighted = new Float32Array(4 * rows * columns);
  for (let i = 0; i < share.length; i += 1) {
    weighted[4 * i + 3] = share[i];
    for (let c = 0; c < 3; c += 1) weighted[4 * i + c] = colours[3 * i + c] * share[i];
  }
  const tall = doubled(weighted, rows, 4 * columns);
  const total = new Float32Array(4 * weighted.length);
  for (let row = 0; row < 2 * rows; row += 1) {
    const line = tall.subarray(row * 4 * columns, (row + 1) * 4 * columns);
    total.set(doubled(line, columns, 4), row * 8 * columns);
  }
  const found = { rows: 2 * rows, columns: 2 * columns, colours: new Float32Array(12 * share.length), share: new Float32Array(4 * share.length) };
  for (let i = 0; i < found.share.length; i += 1) {
    found.share[i] = share[Math.floor(i / (4 * columns)) * columns + Math.floor((i % (2 * columns)) / 2)];
    const weight = Math.max(total[4 * i + 3], LEAST);
    for (let c = 0; c < 3; c += 1) found.colours[3 * i + c] = Math.min(1, Math.max(0, total[4 * i + c] / weight));
  }
  return found;
}

/**
 * Double the first axis.
 *
 * @param {Float32Array} values
 * @param {number} length of the axis
 * @param {number} width numbers in each of its places
 */
function doubled(values, length, width) {
  const found = new Float32Array(2 * values.length);
  for (let place = 0, to = 0; place < length; place += 1) {
    for (const [half, taps] of TAPS.entries()) {
      const from = taps.map((_, k) => width * Math.min(Math.max(place - 2 + half + k, 0), length - 1));
      for (let i = 0; i < width; i += 1, to += 1) {
        found[to] = taps.reduce((sum, tap, k) => sum + (tap / 128) * values[from[k] + i], 0);
      }
    }
  }
  return found;
}
