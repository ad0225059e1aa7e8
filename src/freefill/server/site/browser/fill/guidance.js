// @ts-check
/** A sketch and strokes of colour, as the network takes them (`pipeline/guidance.py`, `masks/thinning.py`). */

import { networkSize } from './tiling.js';

/** @typedef {import('./boxes.js').Plane} Plane */
/** @typedef {import('./tiling.js').Crop} Crop */
/**
 * @typedef {object} Guidance At the size of the photo.
 * @property {Plane | null} lines
 * @property {Plane | null} painted where there are strokes
 * @property {Uint8Array | null} colours three for each pixel
 */

export const CHANNELS = 5;

/**
 * What the network sees of it: lines of one pixel, where there are strokes, and their mean colours in [-1, 1].
 *
 * @param {Guidance} guidance
 * @param {Crop} crop
 * @param {Float32Array} gap 1 where something is filled; elsewhere nothing is drawn
 */
export function planes(guidance, crop, gap) {
  const { rows, columns } = networkSize(crop);
  const size = rows * columns;
  const found = new Float32Array(CHANNELS * size);
  const { box, factor, zoom } = crop;
  const shown = { width: Math.ceil((box.right - box.left) / factor), height: Math.ceil((box.bottom - box.top) / factor) };
  const lines = { ...shown, data: new Uint8Array(shown.width * shown.height) };
  for (let y = 0; y < shown.height; y += 1) {
    for (let x = 0; x < shown.width; x += 1) {
      const block = {
        left: box.left + x * factor,
        top: box.top + y * factor,
        right: Math.min(box.left + (x + 1) * factor, box.right),
        bottom: Math.min(box.top + (y + 1) * factor, box.bottom),
      };
      if (guidance.lines) lines.data[y * shown.width + x] = any(guidance.lines, block);
      const mean = guidance.painted && guidance.colours ? meanOf(guidance.painted, guidance.colours, block) : null;
      const values = mean ? [1, ...mean.map((value) => (value / 255) * 2 - 1)] : [];
      for (const [c, value] of values.entries()) {
        for (let i = 0; i < zoom; i += 1) {
          const at = (c + 1) * size + (y * zoom + i) * columns + x * zoom;
          found.fill(value, at, at + zoom);
        }
      }
    }
  }
  if (guidance.lines) {
    const large = repeated(lines, zoom);
    const thinned = thin(large);
    for (let y = 0; y < large.height; y += 1) {
      found.set(thinned.subarray(y * large.width, (y + 1) * large.width), y * columns);
    }
  }
  for (let c = 0; c < CHANNELS; c += 1) for (let i = 0; i < size; i += 1) found[c * size + i] *= gap[i];
  return found;
}

/**
 * @param {Plane} plane
 * @param {number} zoom
 * @returns {Plane}
 */
function repeated({ width, height, data }, zoom) {
  const large = { width: width * zoom, height: height * zoom, data: new Uint8Array(data.length * zoom ** 2) };
  for (let y = 0, at = 0; y < large.height; y += 1) {
    for (let x = 0; x < large.width; x += 1, at += 1) large.data[at] = data[Math.floor(y / zoom) * width + Math.floor(x / zoom)];
  }
  return large;
}

/**
 * @param {Plane} plane
 * @param {import('./boxes.js').Box} box
 */
function any(plane, { left, top, right, bottom }) {
  for (let y = top; y < bottom; y += 1) for (let x = left; x < right; x += 1) if (plane.data[y * plane.width + x]) return 1;
  return 0;
}

/**
 * @param {Plane} painted
 * @param {Uint8Array} colours
 * @param {import('./boxes.js').Box} box
 */
function meanOf(painted, colours, { left, top, right, bottom }) {
  let count = 0;
  const sums = [0, 0, 0];
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      const at = y * painted.width + x;
      if (!painted.data[at]) continue;
      count += 1;
      for (let c = 0; c < 3; c += 1) sums[c] += colours[3 * at + c];
    }
  }
  return count ? sums.map((sum) => sum / count) : null;
}

/**
 * Thin lines of any width to their middle: Guo and Hall, their first algorithm.
 *
 * @param {Plane} lines
 */
export function thin({ width, height, data }) {
  const stride = width + 2;
  const flat = new Uint8Array(stride * (height + 2));
  for (let y = 0; y < height; y += 1) flat.set(data.subarray(y * width, (y + 1) * width), (y + 1) * stride + 1);
  // Clockwise from above; only pixels of lines are ever looked at.
  const steps = [-stride, 1 - stride, 1, 1 + stride, stride, stride - 1, -1, -1 - stride];
  let waiting = Array.from(flat.keys()).filter((at) => flat[at]);
  for (let rested = 0, half = 0; rested < 2 && waiting.length; half = 1 - half) {
    const gone = waiting.filter((at) => REMOVABLE[half][steps.reduce((bits, step, i) => bits | (flat[at + step] << i), 0)]);
    rested = gone.length ? 0 : rested + 1;
    for (const at of gone) flat[at] = 0;
    waiting = waiting.filter((at) => flat[at]);
  }
  const found = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) found.set(flat.subarray((y + 1) * stride + 1, (y + 1) * stride + 1 + width), y * width);
  return found;
}

/** For each of 256 neighbourhoods, whether the pixel in it goes; names are those of the paper. */
const REMOVABLE = [0, 1].map((half) => Array.from({ length: 256 }, (_, bits) => {
  const [p2, p3, p4, p5, p6, p7, p8, p9] = Array.from({ length: 8 }, (__, i) => (bits >> i) & 1);
  const parts = [!p2 && (p3 | p4), !p4 && (p5 | p6), !p6 && (p7 | p8), !p8 && (p9 | p2)].filter(Boolean).length;
  const one = [p9 | p2, p3 | p4, p5 | p6, p7 | p8].filter(Boolean).length;
  const other = [p2 | p3, p4 | p5, p6 | p7, p8 | p9].filter(Boolean).length;
  const count = Math.min(one, other);
  const kept = half === 0 ? (p6 | p7 | (p9 ^ 1)) & p8 : (p2 | p3 | (p5 ^ 1)) & p4;
  return parts === 1 && count >= 2 && count <= 3 && !kept;
}));
