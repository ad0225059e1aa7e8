// @ts-check
/**
 * One photo, filled: the steps of `pipeline/inpainter.py`, for samples of 8 bits and a mask that was drawn.
 *
 * What it gives are the new samples of each hole; everything else of the photo is left alone.
 */

import { blend } from './blending.js';
import { cut } from './boxes.js';
import { detailed } from './detail.js';
import { find } from './flat.js';
import { CHANNELS, planes } from './guidance.js';
import { LUMA, sample } from './numbers.js';
import { places, see } from './seen.js';
import { plan } from './tiling.js';

/** @typedef {import('./boxes.js').Box} Box */
/** @typedef {import('./boxes.js').Plane} Plane */
/** @typedef {import('./seen.js').Photo} Photo */
/** @typedef {import('./seen.js').Seen} Seen */
/** @typedef {import('./tiling.js').Crop} Crop */
/** @typedef {import('./guidance.js').Guidance} Guidance */
/**
 * @typedef {(inputs: {image: Float32Array, hole: Float32Array, guidance: Float32Array | null,
 *   rows: number, columns: number}) => Promise<Float32Array>} Predict Runs the network: three planes in [-1, 1],
 *   a plane of 1 where to fill, and five planes of guidance, to three planes.
 */

/** How far the channels of a photo without colours may differ. */
const TINT = 2;

/**
 * Fill a photo.
 *
 * @param {Photo} photo not changed
 * @param {Plane} cover how much of each pixel is marked, 0 to 255; from 128 on it is filled
 * @param {object} how
 * @param {Predict} how.predict
 * @param {Guidance | null} [how.guidance]
 * @param {boolean} [how.soft] the photo is seen through the fill where it is not wholly marked
 * @param {(done: number, total: number) => void | Promise<void>} [how.progress] called before each
 *   run of the network and at the end; what it throws stops the fill
 * @returns {Promise<{photo: Photo, hole: Plane}>} another photo, and what of it was filled
 */
export async function fill(photo, cover, { predict, guidance = null, soft = false, progress = () => {} }) {
  const hole = { ...cover, data: cover.data.map((value) => (value > 127 ? 1 : 0)) };
  const unknown = { ...hole, data: hole.data.slice() };
  if (photo.channels % 2 === 0) {
    // What cannot be seen is not known either: editors leave any colour under it.
    for (let i = 0, at = photo.channels - 1; at < photo.samples.length; i += 1, at += photo.channels) {
      if (photo.samples[at] === 0) unknown.data[i] = 1;
    }
  }
  const drawn = [guidance?.lines, guidance?.painted].filter((plane) => !!plane);
  const filled = { ...photo, samples: photo.samples.slice() };
  const rest = { ...hole, data: hole.data.slice() };
  const parts = find(photo, hole, unknown, drawn);
  for (const part of parts) paintFlat(filled, part, [rest, unknown]);
  // To the network they are known now.
  const known = parts.length ? { ...filled, samples: filled.samples.slice() } : photo;
  const crops = plan(rest);
  const grey = !guidance?.painted && isGrey(known, unknown);
  for (const [done, crop] of crops.entries()) {
    await progress(parts.length + done, parts.length + crops.length);
    write(filled, crop.hole, cut(rest, crop.hole), await fillCrop(known, rest, unknown, guidance, crop, predict), grey);
  }
  await progress(parts.length + crops.length, parts.length + crops.length);
  if (soft) mix(filled, photo, cover);
  return { photo: filled, hole };
}

/**
 * @param {Photo} photo changed
 * @param {import('./flat.js').Part} part
 * @param {Plane[]} planes of which it is taken away
 */
function paintFlat(photo, { hole, colour }, planes) {
  for (let y = 0, i = 0; y < hole.height; y += 1) {
    for (let x = 0; x < hole.width; x += 1, i += 1) {
      if (!hole.data[i]) continue;
      const at = (hole.box.top + y) * photo.width + hole.box.left + x;
      photo.samples.set(colour, at * photo.channels);
      for (const plane of planes) plane.data[at] = 0;
    }
  }
}

/**
 * Whether a photo that is stored in colours has none where it is known.
 *
 * @param {Photo} photo
 * @param {Plane} unknown
 */
function isGrey({ channels, samples }, unknown) {
  if (channels < 3) return false;
  let some = false;
  for (let i = 0, at = 0; i < unknown.data.length; i += 1, at += channels) {
    if (unknown.data[i]) continue;
    some = true;
    const [red, green, blue] = [samples[at], samples[at + 1], samples[at + 2]];
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > TINT) return false;
  }
  return some;
}

/**
 * Fill one crop; give three colours in [0, 1] for each pixel of its hole's box.
 *
 * @param {Photo} photo
 * @param {Plane} hole
 * @param {Plane} unknown
 * @param {Guidance | null} guidance
 * @param {Crop} crop
 * @param {Predict} predict
 */
async function fillCrop(photo, hole, unknown, guidance, crop, predict) {
  const seen = see(photo, unknown, crop);
  const size = seen.rows * seen.columns;
  const gap = Float32Array.from(seen.share, (share) => (share < 1 ? 1 : 0));
  const image = new Float32Array(3 * size);
  for (let i = 0; i < size; i += 1) for (let c = 0; c < 3; c += 1) image[c * size + i] = seen.colours[3 * i + c] * 2 - 1;
  const drawn = guidance ? planes(guidance, crop, gap) : null;
  const predicted = await predict({ image, hole: gap, guidance: drawn, rows: seen.rows, columns: seen.columns });
  if (predicted.length !== 3 * size || predicted.some((value) => !Number.isFinite(value))) {
    throw new Error('the network gave values that are no colours: its weights are damaged');
  }
  const completed = seen.colours.slice();
  for (let i = 0; i < size; i += 1) {
    if (!gap[i]) continue;
    for (let c = 0; c < 3; c += 1) completed[3 * i + c] = Math.min(1, Math.max(0, predicted[c * size + i] / 2 + 0.5));
  }
  blend(completed, seen);
  const local = cut(hole, crop.hole);
  if (crop.factor > 1) return detailed(photo, crop, local, completed, seen);
  const { zoom } = crop;
  const found = new Float32Array(3 * local.width * local.height);
  for (let y = 0; y < local.height * zoom; y += 1) {
    const from = (zoom * (crop.hole.top - crop.box.top) + y) * seen.columns + zoom * (crop.hole.left - crop.box.left);
    for (let x = 0; x < local.width * zoom; x += 1) {
      const to = 3 * (Math.floor(y / zoom) * local.width + Math.floor(x / zoom));
      for (let c = 0; c < 3; c += 1) found[to + c] += completed[3 * (from + x) + c] / zoom ** 2;
    }
  }
  return found;
}

/**
 * Write colours into a hole.
 *
 * @param {Photo} photo changed
 * @param {Box} box
 * @param {Plane} hole in the box
 * @param {Float32Array} colours three for each of its pixels, in about [0, 1]
 * @param {boolean} grey without colour
 */
function write(photo, box, hole, colours, grey) {
  const one = grey || photo.channels < 3;
  for (let y = 0, i = 0; y < hole.height; y += 1) {
    for (let x = 0; x < hole.width; x += 1, i += 1) {
      if (!hole.data[i]) continue;
      const at = ((box.top + y) * photo.width + box.left + x) * photo.channels;
      const colour = colours.subarray(3 * i, 3 * i + 3);
      const luma = colour[0] * LUMA[0] + colour[1] * LUMA[1] + colour[2] * LUMA[2];
      if (photo.channels < 3) photo.samples[at] = sample(luma);
      else for (let c = 0; c < 3; c += 1) photo.samples[at + c] = sample(one ? luma : colour[c]);
    }
  }
}

/**
 * Let the photo be seen through a fill where its mask is soft.
 *
 * @param {Photo} filled changed
 * @param {Photo} before
 * @param {Plane} cover
 */
function mix(filled, before, cover) {
  for (let i = 0; i < cover.data.length; i += 1) {
    const marked = cover.data[i];
    if (marked < 128 || marked === 255) continue;
    const share = (2 * marked) / 255 - 1;
    for (const c of new Set(places(filled))) {
      const at = i * filled.channels + c;
      filled.samples[at] = sample((share * filled.samples[at] + (1 - share) * before.samples[at]) / 255);
    }
  }
}

/**
 * Make what runs a network of onnxruntime-web.
 *
 * @param {any} ort the runtime
 * @param {any} session
 * @returns {Predict}
 */
export function predictor(ort, session) {
  return async ({ image, hole, guidance, rows, columns }) => {
    const tensor = (/** @type {Float32Array} */ data, /** @type {number[]} */ shape) => new ort.Tensor('float32', data, shape);
    /** @type {Record<string, unknown>} */
    const given = { image: tensor(image, [1, 3, rows, columns]), hole: tensor(hole, [1, 1, rows, columns]) };
    if (session.inputNames.includes('guidance')) {
      // A plane of 2 by 2 stands for none at any size.
      given.guidance = guidance
        ? tensor(guidance, [1, CHANNELS, rows, columns])
        : tensor(new Float32Array(CHANNELS * 4), [1, CHANNELS, 2, 2]);
    }
    return (await session.run(given)).filled.data;
  };
}
