// @ts-check
/** Holes with one colour all around are filled with it, and no network is asked (`pipeline/flat.py`). */

import { groups } from './boxes.js';
import { thickness } from './tiling.js';

/** @typedef {import('./boxes.js').Group} Group */
/** @typedef {import('./boxes.js').Plane} Plane */
/** @typedef {import('./seen.js').Photo} Photo */
/** @typedef {{hole: Group, colour: number[]}} Part A hole, and the samples of its pixels, without opacity. */

const CELL = 8;
const NARROWEST = 2;
const WIDEST = 16;
const SHARE = 16;
const NOISE = 8;
const MOST = 0.5;
const PEAK = 255;

/**
 * @param {Photo} photo
 * @param {Plane} hole
 * @param {Plane} unknown the hole, and what is wholly transparent
 * @param {Plane[]} drawn holes with something of it in them are left out
 * @returns {Part[]}
 */
export function find(photo, hole, unknown, drawn) {
  /** @type {Part[]} */
  const found = [];
  for (const one of groups(hole, CELL)) {
    if (drawn.some((plane) => meets(one, plane)) || !colourAround(photo, unknown, one, NARROWEST)) continue;
    const width = Math.min(Math.max(Math.floor(thickness(one) / SHARE), NARROWEST), WIDEST);
    const colour = colourAround(photo, unknown, one, width);
    if (colour) found.push({ hole: one, colour });
  }
  return found;
}

/**
 * @param {Group} hole
 * @param {Plane} plane
 */
function meets({ box, width, height, data }, plane) {
  for (let y = 0; y < height; y += 1) {
    const from = (box.top + y) * plane.width + box.left;
    for (let x = 0; x < width; x += 1) if (data[y * width + x] && plane.data[from + x]) return true;
  }
  return false;
}

/**
 * The one colour of the rim of a hole, if it has one.
 *
 * @param {Photo} photo
 * @param {Plane} unknown
 * @param {Group} hole
 * @param {number} reach width of the rim
 */
function colourAround(photo, unknown, hole, reach) {
  const { box } = hole;
  const near = {
    left: Math.max(box.left - reach, 0),
    top: Math.max(box.top - reach, 0),
    right: Math.min(box.right + reach, photo.width),
    bottom: Math.min(box.bottom + reach, photo.height),
  };
  const wide = widened(hole, near, reach);
  const channels = photo.channels - (photo.channels % 2 ? 0 : 1);
  /** @type {number[] | null} */
  let one = null;
  const seen = { count: 0, even: true, off: 0, ends: 0 };
  /** @type {number[]} */
  let end = [];
  for (let y = near.top, i = 0; y < near.bottom; y += 1) {
    for (let x = near.left; x < near.right; x += 1, i += 1) {
      const at = y * photo.width + x;
      if (!wide[i] || unknown.data[at]) continue;
      const colour = Array.from(photo.samples.subarray(at * photo.channels, at * photo.channels + channels));
      one ??= colour;
      if (!end.length) end = one.map((value) => (value > PEAK / 2 ? PEAK : 0));
      const off = Math.max(...colour.map((value, c) => Math.abs(value - end[c])));
      seen.count += 1;
      seen.even &&= colour.every((value, c) => value === one?.[c]);
      seen.off = Math.max(seen.off, off);
      seen.ends += off === 0 ? 1 : 0;
      if (!seen.even && seen.off > NOISE) return null;
    }
  }
  if (!one || seen.even) return one;
  return seen.ends / seen.count >= MOST ? end : null;
}

/**
 * A hole, wider by a square of some pixels to each side.
 *
 * @param {Group} hole
 * @param {import('./boxes.js').Box} near
 * @param {number} reach
 */
function widened({ box, width, height, data }, near, reach) {
  const across = near.right - near.left;
  const down = near.bottom - near.top;
  const [dx, dy] = [box.left - near.left, box.top - near.top];
  const rows = new Uint8Array(across * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (data[y * width + x]) rows.fill(1, y * across + Math.max(0, x + dx - reach), y * across + Math.min(across, x + dx + reach + 1));
    }
  }
  const found = new Uint8Array(across * down);
  for (let y = 0; y < height; y += 1) {
    for (let to = Math.max(0, y + dy - reach); to < Math.min(down, y + dy + reach + 1); to += 1) {
      for (let x = 0; x < across; x += 1) found[to * across + x] |= rows[y * across + x];
    }
  }
  return found;
}
