// @ts-check
/** Which parts of the photo the network sees, and at which scale (`pipeline/tiling.py`). */

import { area, cut, groups, inOrder } from './boxes.js';
import { round } from './numbers.js';

/** @typedef {import('./boxes.js').Box} Box */
/** @typedef {import('./boxes.js').Plane} Plane */
/** @typedef {{hole: Box, box: Box, factor: number, zoom: number}} Crop What one run fills and sees, how many times smaller, and larger. */

const CONTEXT = 64;
const SHARE = 0.75;
const SMALLEST = 128;
const BUDGET = 512 * 512;
const VIEW = 256;
const COMPACT = 2 / 3;
const THICK = 40;
const ZOOM = 2;
const STRIDE = 16;
const LOOKED_AT = 512;
const CELL = 32;

/**
 * Rows and columns that the network computes at: scaled, and padded to multiples of 16.
 *
 * @param {Crop} crop
 */
export function networkSize({ box, factor, zoom }) {
  const padded = (/** @type {number} */ side) => Math.ceil((Math.ceil(side / factor) * zoom) / STRIDE) * STRIDE;
  return { rows: padded(box.bottom - box.top), columns: padded(box.right - box.left) };
}

/**
 * @param {Plane} hole
 * @returns {Crop[]} whose holes cover every pixel of it
 */
export function plan(hole) {
  const crops = groups(hole, CELL).map(({ box }) => cropAround(box, hole));
  return merged(crops, hole).map((crop) => scaled(crop, hole));
}

/**
 * The side of the largest square that is all hole; a large hole is measured in cells.
 *
 * @param {Plane} hole
 */
export function thickness({ width, height, data }) {
  const step = Math.ceil(Math.max(width, height) / LOOKED_AT);
  const rows = Math.floor(height / step);
  const columns = Math.floor(width / step);
  // The largest square that ends in each cell: one more than the least of its three neighbours.
  let above = new Uint16Array(columns + 1);
  let most = 0;
  for (let row = 0; row < rows; row += 1) {
    const line = new Uint16Array(columns + 1);
    for (let column = 0; column < columns; column += 1) {
      if (!full(data, width, row * step, column * step, step)) continue;
      line[column + 1] = 1 + Math.min(line[column], above[column], above[column + 1]);
      most = Math.max(most, line[column + 1]);
    }
    above = line;
  }
  return most * step;
}

/**
 * @param {Uint8Array} data
 * @param {number} width
 * @param {number} top
 * @param {number} left
 * @param {number} side
 */
function full(data, width, top, left, side) {
  for (let y = top; y < top + side; y += 1) {
    for (let x = left; x < left + side; x += 1) if (!data[y * width + x]) return false;
  }
  return true;
}

/**
 * @param {Box} hole
 * @param {{width: number, height: number}} photo
 * @returns {Crop}
 */
function cropAround(hole, photo) {
  const longer = Math.max(hole.bottom - hole.top, hole.right - hole.left);
  const margin = Math.max(CONTEXT, round(SHARE * longer));
  const [top, bottom] = span(hole.top, hole.bottom, margin, photo.height);
  const [left, right] = span(hole.left, hole.right, margin, photo.width);
  return { hole, box: { left, top, right, bottom }, factor: 1, zoom: 1 };
}

/**
 * @param {number} first
 * @param {number} last
 * @param {number} margin
 * @param {number} length
 */
function span(first, last, margin, length) {
  const least = Math.max(last - first + 2 * margin, SMALLEST);
  const wanted = Math.min(Math.ceil(least / STRIDE) * STRIDE, length);
  // At a border the crop moves inwards: what is cut off on one side is seen on the other.
  const start = first - Math.floor((wanted - (last - first)) / 2);
  const inside = Math.min(Math.max(start, 0), length - wanted);
  return [inside, inside + wanted];
}

/**
 * Join crops where one run over both costs no more than two.
 *
 * @param {Crop[]} crops
 * @param {{width: number, height: number}} photo
 */
function merged(crops, photo) {
  /** @type {Crop[]} */
  const done = [];
  const waiting = [...crops];
  for (let crop = waiting.pop(); crop; crop = waiting.pop()) {
    const one = crop;
    const joined = done.map((other) => cropAround(union(one.hole, other.hole), photo));
    const i = joined.findIndex(({ box }, at) => area(box) <= area(one.box) + area(done[at].box));
    if (i < 0) done.push(crop);
    else {
      done.splice(i, 1);
      waiting.push(joined[i]);
    }
  }
  return done.sort((a, b) => inOrder(a.hole, b.hole));
}

/**
 * @param {Box} a
 * @param {Box} b
 */
function union(a, b) {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

/**
 * @param {Crop} crop
 * @param {Plane} hole
 * @returns {Crop}
 */
function scaled(crop, hole) {
  const side = Math.sqrt(area(crop.box));
  const thick = thickness(cut(hole, crop.hole));
  const longest = Math.max(crop.hole.bottom - crop.hole.top, crop.hole.right - crop.hole.left);
  let factor = Math.ceil(side / Math.sqrt(BUDGET));
  if (factor > 1 || thick >= COMPACT * longest) factor = Math.max(factor, Math.min(round(thick / THICK), round(side / VIEW)));
  const fits = ZOOM ** 2 * area(crop.box) <= BUDGET;
  return { ...crop, factor, zoom: factor === 1 && ZOOM * thick <= THICK && fits ? ZOOM : 1 };
}
