// @ts-check
/**
 * The thing at a click, by U^2-Net's small network: what `vision/segmentation/saliency.py` and `choosing.py`
 * do for one point.
 *
 * A click is looked at in several views, and what each shows there once more in a view of its own. Where
 * the network sees nothing, Python asks colours alone and always doubts the answer; here that is a refusal.
 */

import { round } from '../fill/numbers.js';
import { grown } from '../mask.js';
import { cutOut } from './cutting.js';
import { above, around, bounds, components, look, plain, resized, sizeFor } from './planes.js';

/** @typedef {import('../fill/boxes.js').Box} Box */
/** @typedef {import('../fill/seen.js').Photo} Photo */
/** @typedef {import('./planes.js').Mask} Mask */
/** @typedef {import('./planes.js').Plane} Plane */
/** @typedef {import('./planes.js').Size} Size */
/** @typedef {{x: number, y: number}} Point A pixel of the photo. */
/** @typedef {(planes: Float32Array, side: number) => Promise<Float32Array>} Salient Runs the network. */
/** @typedef {(view: Box) => Promise<Plane>} Show What a view is of, in [0, 1]. */

/** Of what the network sees. */
const SIDE = 224;
/** Of ImageNet's colours, which it was trained on. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
/** Half sides of the views around a click, as shares of the longer side, beside the whole photo. */
const REACHES = [0.3, 0.13];
/** Pixels of the longer side of the photo on which masks are compared. */
const COMPARED = 384;
/** Pixels of a view by which a click may miss. */
const NEAR = 3;
/** Overlap (IoU) from which two views show the same. */
const ALIKE = 0.8;
/** Of an object's box, that the view of its own has around it. */
const MARGIN = 0.25;
/** Objects that are looked at once more. */
const LOOKED = 3;
/** Overlap of an object with what its own view shows, from which it is one. */
const AGREED = 0.6;
/** Of a photo, above which so much is not filled well, and something smaller is meant, if there is anything. */
const LARGEST = 0.4;
/** Of the photo's border, above which what a click found is what the photo is full of. */
const BORDER = 0.3;
/** Change of colour across an outline, below which it follows no edge. */
const FAINTEST = 0.03;
/** Pixels of a view of the longer side when an outline is drawn. */
const LONGEST_SIDE = 176;
/** Pixels of a soft edge that a hole is to go over, and of a segmenter's own, that its outline may be off. */
const SOFT = 2;
const INEXACT = 1.5;
const LARGEST_GROWTH = 64;
/** Of the object: gaps in it that are smaller are of it too. */
const CLOSED = 0.15;

/**
 * @param {Photo} photo
 * @param {Point} point
 * @param {object} how
 * @param {Salient} how.salient
 * @param {() => void | Promise<void>} [how.progress] called before each run; what it throws stops it
 * @returns {Promise<{mask: Mask, doubt: string}>} grown over the object's edge; why it may be no
 *   object, or another one, and '' if nothing speaks against it
 */
export async function pick(photo, point, { salient, progress = () => {} }) {
  /** @type {Show} */
  const show = async (view) => {
    await progress();
    const size = { width: SIDE, height: SIDE };
    const planes = new Float32Array(3 * SIDE * SIDE);
    look(photo, view, size).forEach(({ data }, c) => {
      for (let i = 0; i < data.length; i += 1) planes[c * SIDE * SIDE + i] = (data[i] - MEAN[c]) / DEVIATION[c];
    });
    const found = await salient(planes, SIDE);
    return { ...size, data: Float32Array.from(found, (value) => Math.min(1, Math.max(0, value))) };
  };
  const seen = await objectAt(photo, point, show);
  if (!seen) throw new Error('no object is seen there: point at the middle of one, or mark it with the brush');
  const { view, shown, agreement } = seen;
  const size = sizeFor(view, LONGEST_SIDE);
  const part = partAt(shown, view, point);
  // Other things in the view are not meant.
  const own = part ? { ...shown, data: shown.data.map((value, i) => (part.data[i] || value <= 0.5 ? value : 0)) } : shown;
  const place = {
    row: Math.trunc(((point.y - view.top) * size.height) / (view.bottom - view.top)),
    column: Math.trunc(((point.x - view.left) * size.width) / (view.right - view.left)),
  };
  const { share, score } = cutOut(look(photo, view, size), resized(own, size), place);
  const [width, height] = [view.right - view.left, view.bottom - view.top];
  const object = closed(placed(above(resized(share, { width, height })), view, photo));
  if (!object.data.some((value) => value)) throw new Error('no object was found there: mark it with the brush');
  const growth = Math.min(round(SOFT + (INEXACT * Math.max(width, height)) / Math.max(size.width, size.height)), LARGEST_GROWTH);
  return { mask: larger(object, growth), doubt: doubts(object, Math.max(score, 0), agreement).join('; ') };
}

/**
 * Look at a point in several views, then at what these show in a view of its own.
 *
 * @param {Photo} photo
 * @param {Point} point
 * @param {Show} show
 */
async function objectAt(photo, point, show) {
  const whole = { left: 0, top: 0, right: photo.width, bottom: photo.height };
  const small = sizeFor(whole, COMPARED);
  const views = [whole, ...REACHES.map((share) => {
    const reach = Math.max(round(share * Math.max(photo.width, photo.height)), 6);
    return {
      left: Math.max(point.x - reach, 0), top: Math.max(point.y - reach, 0),
      right: Math.min(point.x + reach + 1, photo.width), bottom: Math.min(point.y + reach + 1, photo.height),
    };
  })];
  const found = [];
  for (const view of views) {
    const part = partAt(await show(view), view, point);
    if (!part) continue;
    const mask = onto(part, view, photo, small);
    const area = mask.data.reduce((sum, value) => sum + value, 0);
    if (area) found.push({ mask, area, most: Number(area / mask.data.length > LARGEST) });
  }
  // The largest is meant, unless it is most of the photo: a sign before a crowd is the sign.
  found.sort((a, b) => a.most - b.most || b.area - a.area);
  /** @type {Mask[]} */
  const different = [];
  /** @type {{view: Box, shown: Plane, agreement: number} | null} */
  let best = null;
  for (const { mask } of found) {
    if (different.some((other) => overlap(mask, other) > ALIKE)) continue;
    different.push(mask);
    const seen = await seenAgain(photo, mask, point, show);
    if (!best || seen.agreement > best.agreement) best = seen;
    if (best.agreement >= AGREED || different.length === LOOKED) break;
  }
  return best;
}

/**
 * @param {Photo} photo
 * @param {Mask} mask
 * @param {Point} point
 * @param {Show} show
 */
async function seenAgain(photo, mask, point, show) {
  const box = /** @type {Box} */ (bounds(mask));
  const [tall, wide] = [photo.height / mask.height, photo.width / mask.width];
  const own = {
    left: Math.trunc(box.left * wide), top: Math.trunc(box.top * tall),
    right: Math.min(Math.ceil(box.right * wide), photo.width), bottom: Math.min(Math.ceil(box.bottom * tall), photo.height),
  };
  const view = around(own, MARGIN, photo, 4);
  const shown = await show(view);
  const part = partAt(shown, view, point);
  return { view, shown, agreement: part ? overlap(onto(part, view, photo, mask), mask) : 0 };
}

/**
 * The part of a view's map that a point is on, or close to.
 *
 * @param {Plane} shown
 * @param {Box} view
 * @param {Point} point
 * @returns {Mask | null}
 */
function partAt(shown, view, point) {
  const { width, height } = shown;
  const { label, sizes } = components(above(shown));
  const row = Math.min(Math.trunc(((point.y - view.top) * height) / (view.bottom - view.top)), height - 1);
  const column = Math.min(Math.trunc(((point.x - view.left) * width) / (view.right - view.left)), width - 1);
  let found = label[row * width + column];
  if (found < 0) {
    const counts = new Array(sizes.length).fill(0);
    for (let y = Math.max(row - NEAR, 0); y <= Math.min(row + NEAR, height - 1); y += 1) {
      for (let x = Math.max(column - NEAR, 0); x <= Math.min(column + NEAR, width - 1); x += 1) {
        if (label[y * width + x] >= 0) counts[label[y * width + x]] += 1;
      }
    }
    const most = Math.max(0, ...counts);
    if (!most) return null;
    found = counts.indexOf(most);
  }
  return { width, height, data: Uint8Array.from(label, (value) => (value === found ? 1 : 0)) };
}

/**
 * Bring a mask of a view to the whole photo as it is compared.
 *
 * @param {Mask} part
 * @param {Box} view
 * @param {Size} size of the photo
 * @param {Size} small
 * @returns {Mask}
 */
function onto(part, view, size, small) {
  const [down, right] = [small.height / size.height, small.width / size.width];
  const box = { left: Math.min(round(view.left * right), small.width - 1), top: Math.min(round(view.top * down), small.height - 1), right: 0, bottom: 0 };
  box.right = Math.max(round(view.right * right), box.left + 1);
  box.bottom = Math.max(round(view.bottom * down), box.top + 1);
  return placed(above(resized(plain(part), { width: box.right - box.left, height: box.bottom - box.top })), box, small);
}

/**
 * @param {Mask} part as large as the box
 * @param {Box} box
 * @param {Size} size
 * @returns {Mask}
 */
function placed(part, box, { width, height }) {
  const data = new Uint8Array(width * height);
  for (let y = 0; y < part.height; y += 1) {
    data.set(part.data.subarray(y * part.width, (y + 1) * part.width), (box.top + y) * width + box.left);
  }
  return { width, height, data };
}

/**
 * @param {Mask} one
 * @param {Mask} other
 */
function overlap(one, other) {
  let [both, either] = [0, 0];
  for (let i = 0; i < one.data.length; i += 1) {
    both += one.data[i] & other.data[i];
    either += one.data[i] | other.data[i];
  }
  return both / Math.max(either, 1);
}

/**
 * Fill gaps that are small.
 *
 * @param {Mask} mask
 * @returns {Mask}
 */
function closed(mask) {
  const box = bounds(mask);
  if (!box) return mask;
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const factor = Math.max(1, Math.ceil(Math.max(width, height) / 512));
  const small = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
  // A frame around it joins all that is outside to one part, which is the first.
  const framed = { width: small.width + 2, height: small.height + 2, data: new Uint8Array((small.width + 2) * (small.height + 2)).fill(1) };
  let count = 0;
  const inner = (/** @type {number} */ x, /** @type {number} */ y) => (y + 1) * framed.width + x + 1;
  for (let y = 0; y < small.height; y += 1) {
    for (let x = 0; x < small.width; x += 1) {
      if (!mask.data[(box.top + y * factor) * mask.width + box.left + x * factor]) continue;
      framed.data[inner(x, y)] = 0;
      count += 1;
    }
  }
  const { label, sizes } = components(framed);
  const gaps = { ...small, data: new Float32Array(small.width * small.height) };
  for (let y = 0, at = 0; y < small.height; y += 1) {
    for (let x = 0; x < small.width; x += 1, at += 1) {
      const part = label[inner(x, y)];
      if (part > 0 && sizes[part] < CLOSED * count) gaps.data[at] = 1;
    }
  }
  const found = placed(above(resized(gaps, { width, height })), box, mask);
  return { ...mask, data: mask.data.map((value, i) => value | found.data[i]) };
}

/**
 * @param {Mask} mask
 * @param {number} growth pixels
 * @returns {Mask}
 */
function larger(mask, growth) {
  const raster = { width: mask.width, height: mask.height, cover: mask.data.map((value) => 255 * value) };
  const { image } = grown(/** @type {any} */ ({ raster, photoWidth: mask.width }), growth);
  return { ...mask, data: image.cover.map((value) => (value ? 1 : 0)) };
}

/**
 * Say why what was found may not be what is meant.
 *
 * @param {Mask} mask
 * @param {number} edge
 * @param {number} agreement
 */
function doubts({ width, height, data }, edge, agreement) {
  const percent = (/** @type {number} */ share, digits = 0) => `${(100 * share).toFixed(digits)}%`;
  const share = data.reduce((sum, value) => sum + value, 0) / data.length;
  let rim = 0;
  for (let x = 0; x < width; x += 1) rim += data[x] + data[(height - 1) * width + x];
  for (let y = 0; y < height; y += 1) rim += data[y * width] + data[(y + 1) * width - 1];
  const border = rim / (2 * (width + height));
  const found = [];
  if (share > LARGEST) found.push(`it covers ${percent(share)} of the photo, and ${percent(LARGEST)} are filled well`);
  if (border > BORDER) found.push(`it takes ${percent(border)} of the photo's border, which the background does`);
  if (edge < FAINTEST) found.push(`colours change by ${percent(edge, 1)} across its outline, less than ${percent(FAINTEST)}`);
  if (agreement === 0) found.push('U^2-Net takes nothing there for an object');
  else if (agreement < AGREED) found.push(`another look at it agrees by ${percent(agreement)}, less than ${percent(AGREED)}`);
  return found;
}

/**
 * Make what runs the network in onnxruntime-web.
 *
 * @param {any} ort the runtime
 * @param {any} session
 * @returns {Salient}
 */
export function saliency(ort, session) {
  // The first output is the fused map; others, if there are any, are what it was fused from.
  const [[input], [output]] = [session.inputNames, session.outputNames];
  return async (planes, side) => (await session.run({ [input]: new ort.Tensor('float32', planes, [1, 3, side, side]) }))[output].data;
}
