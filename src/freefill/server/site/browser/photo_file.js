// @ts-check
/**
 * Files to samples and back, in a worker.
 *
 * A PNG is read and written here, sample for sample. Other files are decoded by the browser, and what a
 * browser gives of them is read from a canvas: one that answers with noise is found out, and told of.
 */

import { intoJpeg, ofJpeg } from './metadata.js';
import { isPng, readPng, writePng } from './png_file.js';

/** @typedef {import('./fill/seen.js').Photo} Photo */
/** @typedef {import('./metadata.js').Metadata} Metadata */
/** @typedef {{photo: Photo, metadata: Metadata}} Opened */

const QUALITY = 95;
const TRIED = 64;
const GUARDED =
  'this browser changes what a page reads from pictures, as a guard against being told apart: ' +
  'allow this site to read canvases, or use PNG files, which need none';

/** @type {boolean | null} Whether a canvas gives back what was drawn; asked once. */
let exact = null;

/**
 * @param {number} width
 * @param {number} height
 */
function canvas(width, height) {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('the browser has no room for a photo of this size');
  return context;
}

/** Whether a canvas gives back exactly what was drawn. */
export function canvasIsExact() {
  if (exact !== null) return exact;
  const drawn = new ImageData(TRIED, TRIED);
  for (let i = 0; i < drawn.data.length; i += 1) drawn.data[i] = i % 4 === 3 ? 255 : (i * 2654435761) >>> 24;
  const context = canvas(TRIED, TRIED);
  context.putImageData(drawn, 0, 0);
  const back = context.getImageData(0, 0, TRIED, TRIED).data;
  exact = drawn.data.every((value, i) => value === back[i]);
  return exact;
}

/**
 * @param {Blob} file
 * @returns {Promise<Opened>}
 */
export async function read(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isPng(bytes)) {
    const { photo, metadata, turned } = await readPng(bytes);
    // Whether it is turned on the screen is the browser's choice, which a mask was drawn by.
    return turned ? { photo: await decoded(file, 'none'), metadata } : { photo, metadata };
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    // The profile goes along, so samples stay those of the file.
    return { photo: await decoded(file, 'none'), metadata: ofJpeg(bytes) };
  }
  return { photo: await decoded(file, 'default'), metadata: { kind: null, exif: null, icc: null, parts: [] } };
}

/**
 * @param {Blob} file
 * @param {'none' | 'default'} colorSpaceConversion
 * @returns {Promise<Photo>}
 */
async function decoded(file, colorSpaceConversion) {
  if (!canvasIsExact()) throw new Error(GUARDED);
  const bitmap = await createImageBitmap(file, { colorSpaceConversion });
  const { width, height } = bitmap;
  const context = canvas(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) return { width, height, channels: 4, samples: data };
  const samples = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    samples[to] = data[from];
    samples[to + 1] = data[from + 1];
    samples[to + 2] = data[from + 2];
  }
  return { width, height, channels: 3, samples };
}

/**
 * @param {Opened} opened
 * @param {string} format 'png' or 'jpeg'; '' for the photo's own, or PNG where that cannot be written
 * @returns {Promise<{blob: Blob, notices: string[]}>}
 */
export async function write({ photo, metadata }, format) {
  const kind = format || metadata.kind || 'png';
  const notices = [];
  if (!metadata.kind) notices.push('The colours are sRGB now; what the file held beside its pixels is not kept.');
  else if (kind !== metadata.kind && metadata.parts.length) {
    notices.push(`EXIF and the colour profile are kept; other metadata of a ${metadata.kind.toUpperCase()} are not.`);
  }
  if (kind === 'png') return { blob: await writePng(photo, metadata), notices };
  if (!canvasIsExact()) throw new Error(`no JPEG can be written: ${GUARDED}`);
  if (photo.channels % 2 === 0) notices.push('A JPEG has no transparency: what was transparent is white.');
  notices.push(`The JPEG is encoded anew, at quality ${QUALITY}: as PNG, every pixel outside the mask stays exactly what it was.`);
  const context = canvas(photo.width, photo.height);
  context.putImageData(shown(photo), 0, 0);
  const blob = await context.canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY / 100 });
  const bytes = intoJpeg(new Uint8Array(await blob.arrayBuffer()), metadata);
  return { blob: new Blob([/** @type {BlobPart} */ (bytes)], { type: 'image/jpeg' }), notices };
}

/**
 * Opaque, over white.
 *
 * @param {Photo} photo
 */
function shown({ width, height, channels, samples }) {
  const image = new ImageData(width, height);
  const alpha = channels % 2 === 0 ? channels - 1 : -1;
  const colours = channels < 3 ? [0, 0, 0] : [0, 1, 2];
  for (let from = 0, to = 0; from < samples.length; from += channels, to += 4) {
    const share = alpha < 0 ? 1 : samples[from + alpha] / 255;
    for (let c = 0; c < 3; c += 1) image.data[to + c] = samples[from + colours[c]] * share + 255 * (1 - share);
    image.data[to + 3] = 255;
  }
  return image;
}

/**
 * The pixels of a hole alone, transparent around them.
 *
 * @param {Opened} opened
 * @param {import('./fill/boxes.js').Plane} hole
 * @returns {Promise<{blob: Blob, left: number, top: number, share: number}>}
 */
export async function patchOf({ photo, metadata }, hole) {
  const box = { left: hole.width, top: hole.height, right: 0, bottom: 0 };
  let count = 0;
  for (let y = 0, at = 0; y < hole.height; y += 1) {
    for (let x = 0; x < hole.width; x += 1, at += 1) {
      if (!hole.data[at]) continue;
      count += 1;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = y + 1;
    }
  }
  if (!count) Object.assign(box, { left: 0, top: 0, right: 1, bottom: 1 });
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const channels = photo.channels < 3 ? 2 : 4;
  const samples = new Uint8Array(width * height * channels);
  const colours = Math.min(3, channels - 1);
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, to += channels) {
      const at = (box.top + y) * photo.width + box.left + x;
      if (!hole.data[at]) continue;
      samples.set(photo.samples.subarray(at * photo.channels, at * photo.channels + colours), to);
      samples[to + channels - 1] = photo.channels % 2 ? 255 : photo.samples[(at + 1) * photo.channels - 1];
    }
  }
  const plain = { ...metadata, kind: null, exif: null, parts: [] };
  const blob = await writePng({ width, height, channels, samples }, plain);
  return { blob, left: box.left, top: box.top, share: count / hole.data.length };
}

/**
 * How much of each pixel a mask's file marks: by brightness, and nothing where it is transparent.
 *
 * @param {Photo} photo
 * @returns {Uint8Array} one for each pixel, 0 to 255
 */
export function brightness({ width, height, channels, samples }) {
  const found = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < found.length; i += 1, at += channels) {
    const light = channels < 3 ? samples[at] : 0.299 * samples[at] + 0.587 * samples[at + 1] + 0.114 * samples[at + 2];
    found[i] = Math.round(channels % 2 ? light : (light * samples[at + channels - 1]) / 255);
  }
  return found;
}
