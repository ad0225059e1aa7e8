// @ts-check
/** What the network sees of a photo: a crop, shrunk by a whole factor or doubled, and padded by its edge. */

import { enlarged } from './enlarging.js';
import { networkSize } from './tiling.js';

/** @typedef {import('./boxes.js').Plane} Plane */
/** @typedef {import('./tiling.js').Crop} Crop */
/**
 * @typedef {object} Photo Samples of 8 bits, row after row.
 * @property {number} width
 * @property {number} height
 * @property {1 | 2 | 3 | 4} channels grey, grey and opacity, colours, colours and opacity
 * @property {Uint8Array | Uint8ClampedArray} samples
 *
 * @typedef {object} Seen
 * @property {number} rows
 * @property {number} columns
 * @property {Float32Array} colours the mean of what is known of each pixel, three in [0, 1]
 * @property {Float32Array} share how much of each pixel is known; what is below 1 is filled
 */

/**
 * The samples of red, green and blue in a pixel.
 *
 * @param {Photo} photo
 */
export function places({ channels }) {
  return channels < 3 ? [0, 0, 0] : [0, 1, 2];
}

/**
 * @param {Photo} photo
 * @param {Plane} unknown
 * @param {Crop} crop
 * @returns {Seen}
 */
export function see(photo, unknown, crop) {
  const { box, factor, zoom } = crop;
  const shown = empty(Math.ceil((box.bottom - box.top) / factor), Math.ceil((box.right - box.left) / factor));
  for (let row = 0, at = 0; row < shown.rows; row += 1) {
    for (let column = 0; column < shown.columns; column += 1, at += 1) mean(photo, unknown, crop, row, column, shown, at);
  }
  return padded(zoom > 1 ? enlarged(shown) : shown, networkSize(crop));
}

/**
 * @param {number} rows
 * @param {number} columns
 * @returns {Seen}
 */
function empty(rows, columns) {
  return { rows, columns, colours: new Float32Array(3 * rows * columns), share: new Float32Array(rows * columns) };
}

/**
 * What lies beyond the crop repeats its last row or column.
 *
 * @param {Seen} shown
 * @param {{rows: number, columns: number}} size
 */
function padded(shown, size) {
  const seen = empty(size.rows, size.columns);
  for (let row = 0, at = 0; row < seen.rows; row += 1) {
    for (let column = 0; column < seen.columns; column += 1, at += 1) {
      const from = Math.min(row, shown.rows - 1) * shown.columns + Math.min(column, shown.columns - 1);
      seen.share[at] = shown.share[from];
      for (let c = 0; c < 3; c += 1) seen.colours[3 * at + c] = shown.colours[3 * from + c];
    }
  }
  return seen;
}

/**
 * @param {Photo} photo
 * @param {Plane} unknown
 * @param {Crop} crop
 * @param {number} row of the shrunk crop
 * @param {number} column
 * @param {Seen} seen
 * @param {number} to which of its pixels
 */
function mean(photo, unknown, { box, factor }, row, column, seen, to) {
  const { samples, channels, width } = photo;
  const [red, green, blue] = places(photo);
  const [all, known] = [[0, 0, 0], [0, 0, 0]];
  let count = 0;
  for (let i = 0; i < factor; i += 1) {
    const y = Math.min(box.top + row * factor + i, box.bottom - 1);
    for (let j = 0; j < factor; j += 1) {
      const x = Math.min(box.left + column * factor + j, box.right - 1);
      const at = (y * width + x) * channels;
      const sums = unknown.data[y * width + x] ? all : known;
      if (sums === known) count += 1;
      sums[0] += samples[at + red];
      sums[1] += samples[at + green];
      sums[2] += samples[at + blue];
    }
  }
  const square = factor * factor;
  seen.share[to] = count / square;
  for (let c = 0; c < 3; c += 1) seen.colours[3 * to + c] = (count ? known[c] / count : all[c] / square) / 255;
}
