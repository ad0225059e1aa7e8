// @ts-check
/** Planes of numbers: resized, and parts of a photo at the size that it is looked at (`vision/segmentation/view.py`). */

import { round } from '../fill/numbers.js';
import { places } from '../fill/seen.js';

/** @typedef {import('../fill/boxes.js').Box} Box */
/** @typedef {import('../fill/seen.js').Photo} Photo */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {Size & {data: Float32Array}} Plane Numbers, row after row. */
/** @typedef {Size & {data: Uint8Array}} Mask 0 or 1. */

/**
 * Which pixels of a side one of another length is made of, and how much of each: a linear filter that
 * takes in every pixel, as Pillow's.
 *
 * @param {number} from
 * @param {number} to
 */
function taps(from, to) {
  const scale = from / to;
  const wide = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - wide + 0.5));
    const end = Math.min(from, Math.trunc(centre + wide + 0.5));
    const shares = Array.from({ length: end - first }, (_one, k) => Math.max(0, 1 - Math.abs((first + k - centre + 0.5) / wide)));
    const sum = shares.reduce((a, b) => a + b, 0);
    return { first, shares: shares.map((share) => share / sum) };
  });
}

/**
 * @param {Plane} plane
 * @param {Size} size
 * @returns {Plane}
 */
export function resized(plane, { width, height }) {
  let { data } = plane;
  if (width !== plane.width) {
    const across = taps(plane.width, width);
    const made = new Float32Array(width * plane.height);
    for (let y = 0, to = 0; y < plane.height; y += 1) {
      for (const { first, shares } of across) {
        let sum = 0;
        for (let k = 0, at = y * plane.width + first; k < shares.length; k += 1, at += 1) sum += shares[k] * data[at];
        made[to] = sum;
        to += 1;
      }
    }
    data = made;
  }
  if (height !== plane.height) {
    const made = new Float32Array(width * height);
    taps(plane.height, height).forEach(({ first, shares }, y) => {
      for (let x = 0; x < width; x += 1) {
        let sum = 0;
        for (let k = 0, at = first * width + x; k < shares.length; k += 1, at += width) sum += shares[k] * data[at];
        made[y * width + x] = sum;
      }
    });
    data = made;
  }
  return { width, height, data };
}

/** @param {Plane} plane */
export function above(plane) {
  return { width: plane.width, height: plane.height, data: Uint8Array.from(plane.data, (value) => (value > 0.5 ? 1 : 0)) };
}

/** @param {Mask} mask */
export function plain(mask) {
  return { width: mask.width, height: mask.height, data: Float32Array.from(mask.data) };
}

/**
 * The colours in a box, resized.
 *
 * @param {Photo} photo
 * @param {Box} box
 * @param {Size} size
 * @returns {Plane[]} red, green, blue in [0, 1]
 */
export function look(photo, box, size) {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const factor = Math.max(1, Math.min(Math.floor(height / size.height), Math.floor(width / size.width)));
  const small = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
  return places(photo).map((place) => {
    const data = new Float32Array(small.width * small.height);
    for (let row = 0, to = 0; row < small.height; row += 1) {
      const top = box.top + row * factor;
      const bottom = Math.min(top + factor, box.bottom);
      for (let column = 0; column < small.width; column += 1, to += 1) {
        const left = box.left + column * factor;
        const right = Math.min(left + factor, box.right);
        let sum = 0;
        for (let y = top; y < bottom; y += 1) {
          for (let x = left; x < right; x += 1) sum += photo.samples[(y * photo.width + x) * photo.channels + place];
        }
        data[to] = sum / 255 / ((bottom - top) * (right - left));
      }
    }
    return resized({ ...small, data }, size);
  });
}

/**
 * The size at which a box is looked at, so that its longer side is not above a limit.
 *
 * @param {Box} box
 * @param {number} longest
 * @returns {Size}
 */
export function sizeFor(box, longest) {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const share = Math.min(1, longest / Math.max(width, height));
  return { width: Math.max(1, round(width * share)), height: Math.max(1, round(height * share)) };
}

/**
 * A box, widened on each side by a share of its longer one.
 *
 * @param {Box} box
 * @param {number} margin
 * @param {Size} size of the photo, beyond which it does not go
 * @param {number} least pixels
 * @returns {Box}
 */
export function around(box, margin, size, least) {
  const more = Math.max(round(Math.max(box.right - box.left, box.bottom - box.top) * margin), least);
  return {
    left: Math.max(box.left - more, 0), top: Math.max(box.top - more, 0),
    right: Math.min(box.right + more, size.width), bottom: Math.min(box.bottom + more, size.height),
  };
}

/**
 * The tight box of a mask.
 *
 * @param {Mask} mask
 * @returns {Box | null}
 */
export function bounds({ width, height, data }) {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      if (!data[at]) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = y + 1;
    }
  }
  return box.right ? box : null;
}

/**
 * Number the connected parts of a mask; pixels that touch at a corner are connected.
 *
 * @param {Mask} mask
 * @returns {{label: Int32Array, sizes: number[]}} the number of each pixel's part, -1 off the mask
 */
export function components({ width, height, data }) {
  const label = new Int32Array(data.length).fill(-1);
  /** @type {number[]} */
  const sizes = [];
  /** @type {number[]} */
  const waiting = [];
  for (let start = 0; start < data.length; start += 1) {
    if (!data[start] || label[start] >= 0) continue;
    const number = sizes.length;
    label[start] = number;
    waiting.push(start);
    let size = 0;
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      size += 1;
      const [x, y] = [at % width, Math.floor(at / width)];
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v += 1) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u += 1) {
          const next = v * width + u;
          if (!data[next] || label[next] >= 0) continue;
          label[next] = number;
          waiting.push(next);
        }
      }
    }
    sizes.push(size);
  }
  return { label, sizes };
}
