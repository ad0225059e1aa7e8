// @ts-check
/**
 * An object that is known about, drawn to the edges and colours of a view (`cut_out` of
 * `vision/segmentation/classical.py`, and `cutting.py`).
 */

import { fit, logDensity } from './colours.js';
import { above, components } from './planes.js';

/** @typedef {import('./planes.js').Plane} Plane */
/** @typedef {import('./planes.js').Mask} Mask */

const STRENGTH = 4;
/** Primal and dual: their product times 8, the norm of the gradient squared, is below 1. */
const STEP = 0.35;
const ROUNDS = 120;
/** Cost of what a person has said. */
const SURE = 60;
/** Weight of what is known already, beside the colours'. */
const KNOWN = 2;
/** A colour alone does not decide: this is as sure as it gets. */
const LIKELIEST = 6;

/**
 * @param {Plane[]} rgb
 * @param {Plane} known how likely each pixel is of the object
 * @param {{row: number, column: number}} place that is of it
 * @returns {{share: Plane, score: number}} above half is the object; a mean change of colour across its
 *   outline, less its faults
 */
export function cutOut(rgb, known, place) {
  const { width, height, data } = known;
  const object = above(known);
  const colours = Array.from({ length: data.length }, (_, i) => rgb.map((plane) => plane.data[i]));
  const sides = [0, 1].map((side) => colours.filter((_, i) => object.data[i] === side));
  const [unlikely, likely] = sides.every((side) => side.length) ? sides.map(fit) : [null, null];
  const cost = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 1) {
    const sure = Math.min(0.998, Math.max(0.002, data[i]));
    cost[i] = KNOWN * Math.log((1 - sure) / sure);
    if (!likely || !unlikely) continue;
    const more = logDensity(unlikely, colours[i]) - logDensity(likely, colours[i]);
    cost[i] += Math.min(LIKELIEST, Math.max(-LIKELIEST, more));
  }
  const { row, column } = place;
  for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, height - 1); y += 1) {
    for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x += 1) cost[y * width + x] = -SURE;
  }
  const share = cut({ width, height, data: cost }, rgb, object);
  const { label } = components(above(share));
  const kept = label[row * width + column];
  for (let i = 0; i < label.length; i += 1) if (label[i] >= 0 && label[i] !== kept) share.data[i] = 0;
  return { share, score: score(rgb, above(share)) };
}

/**
 * The boundary that is short and follows the edges of the picture, by primal-dual steps.
 *
 * @param {Plane} cost of a pixel's being the object's
 * @param {Plane[]} rgb
 * @param {Mask} start
 * @returns {Plane}
 */
function cut({ width, height, data: cost }, rgb, start) {
  const { right, below } = edgeCosts(rgb);
  const found = Float32Array.from(start.data);
  const ahead = found.slice();
  const across = new Float32Array(found.length);
  const down = new Float32Array(found.length);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let y = 0, at = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, at += 1) {
        if (x + 1 < width) {
          const value = across[at] + STEP * (ahead[at + 1] - ahead[at]);
          across[at] = Math.min(right[at], Math.max(-right[at], value));
        }
        if (y + 1 < height) {
          const value = down[at] + STEP * (ahead[at + width] - ahead[at]);
          down[at] = Math.min(below[at], Math.max(-below[at], value));
        }
      }
    }
    for (let y = 0, at = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, at += 1) {
        const divergence = across[at] + down[at] - (x ? across[at - 1] : 0) - (y ? down[at - width] : 0);
        const before = found[at];
        found[at] = Math.min(1, Math.max(0, before + STEP * divergence - STEP * cost[at]));
        ahead[at] = 2 * found[at] - before;
      }
    }
  }
  return { width, height, data: found };
}

/**
 * What it costs to part neighbours: to the right, and below.
 *
 * @param {Plane[]} rgb
 */
function edgeCosts(rgb) {
  const { width, height } = rgb[0];
  const right = new Float32Array(width * height);
  const below = new Float32Array(width * height);
  const square = (/** @type {number} */ a, /** @type {number} */ b) =>
    rgb.reduce((sum, { data }) => sum + (data[a] - data[b]) ** 2, 0);
  let [sum, count] = [0, 0];
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      if (x + 1 < width) sum += right[at] = square(at, at + 1);
      if (y + 1 < height) sum += below[at] = square(at, at + width);
      count += Number(x + 1 < width) + Number(y + 1 < height);
    }
  }
  // GrabCut's rule: what differs by as much as neighbours do on average is an edge, by and by.
  const mean = Math.max(sum / count, 1e-6);
  const costs = (/** @type {number} */ apart) => STRENGTH * (0.03 + 0.97 * Math.exp(-apart / (2 * mean)));
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      if (x + 1 < width) right[at] = costs(right[at]);
      if (y + 1 < height) below[at] = costs(below[at]);
    }
  }
  return { right, below };
}

/**
 * How much the colours change across the outline, less half of how much they do within.
 *
 * @param {Plane[]} rgb
 * @param {Mask} found
 */
function score(rgb, { width, height, data }) {
  const change = (/** @type {number} */ a, /** @type {number} */ b) =>
    Math.max(...rgb.map((plane) => Math.abs(plane.data[a] - plane.data[b])));
  const outline = { sum: 0, count: 0 };
  const within = { sum: 0, count: 0 };
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      for (const next of [x + 1 < width ? at + 1 : -1, y + 1 < height ? at + width : -1]) {
        if (next < 0) continue;
        if (data[at] !== data[next]) {
          outline.sum += Math.min(change(at, next), 0.25);
          outline.count += 1;
        } else if (data[at] && next === at + 1) {
          within.sum += change(at, next);
          within.count += 1;
        }
      }
    }
  }
  if (!outline.count) return -1;
  return outline.sum / outline.count - (within.count ? (0.5 * within.sum) / within.count : 0);
}
