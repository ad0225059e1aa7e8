// @ts-check
/** PNG files, read and written sample for sample: no canvas in between, which may change them. */

import { chunk } from './png.js';
import { joined, orientation, upright } from './metadata.js';

/** @typedef {import('./fill/seen.js').Photo} Photo */
/** @typedef {import('./metadata.js').Metadata} Metadata */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
/** Samples of a pixel, by PNG's number for its kind. */
const SAMPLES = /** @type {Record<number, number>} */ ({ 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 });
/** PNG's number for each count of channels. */
const KIND = { 1: 0, 2: 4, 3: 2, 4: 6 };
const PALETTE = 3;
/** Chunks about colour, resolution and texts, which are copied as they are. */
const KEPT = new Set(['cHRM', 'gAMA', 'sRGB', 'cICP', 'pHYs', 'tEXt', 'zTXt', 'iTXt', 'tIME']);
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/** @param {Uint8Array} file */
export function isPng(file) {
  return SIGNATURE.every((byte, i) => file[i] === byte);
}

/** @param {Uint8Array[]} parts */
async function packed(parts) {
  const stream = new Blob(/** @type {BlobPart[]} */ (parts)).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {Uint8Array[]} parts */
async function unpacked(parts) {
  const stream = new Blob(/** @type {BlobPart[]} */ (parts)).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * @param {Uint8Array} file
 * @returns {Promise<{photo: Photo, metadata: Metadata, turned: boolean}>} turned: its EXIF says that it
 *   is not upright
 */
export async function readPng(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, kind, interlaced] = [file[24], file[25], file[28] === 1];
  if (depth === 16) throw new Error('it has 16 bits a sample, of which a browser keeps 8: the program keeps them all');
  /** @type {Uint8Array[]} */
  const data = [];
  /** @type {Record<string, Uint8Array>} */
  const one = {};
  /** @type {Metadata} */
  const metadata = { kind: 'png', exif: null, icc: null, parts: [] };
  let turned = false;
  for (let at = 8; at + 12 <= file.length; at += 12 + view.getUint32(at)) {
    const name = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const content = file.subarray(at + 8, at + 8 + view.getUint32(at));
    if (name === 'IDAT') data.push(content);
    else if (name === 'PLTE' || name === 'tRNS') one[name] = content;
    else if (name === 'iCCP') metadata.icc = await unpacked([content.subarray(content.indexOf(0) + 2)]);
    else if (name === 'eXIf') {
      turned = orientation(content) > 1;
      metadata.exif = upright(content.slice());
    } else if (KEPT.has(name)) metadata.parts.push(file.slice(at, at + 12 + content.length));
  }
  const lines = await unpacked(data);
  const samples = new Uint8Array(width * height * SAMPLES[kind]);
  let at = 0;
  for (const [x, y, right, down] of interlaced ? PASSES : [[0, 0, 1, 1]]) {
    const size = { width: Math.ceil((width - x) / right), height: Math.ceil((height - y) / down) };
    if (size.width <= 0 || size.height <= 0) continue;
    const length = Math.ceil((size.width * depth * SAMPLES[kind]) / 8);
    if (at + size.height * (length + 1) > lines.length) throw new Error('it is cut off');
    unfilter(lines.subarray(at, at + size.height * (length + 1)), length, Math.max(1, (depth * SAMPLES[kind]) / 8));
    const scale = kind === PALETTE ? 1 : 255 / (2 ** depth - 1);
    for (let row = 0; row < size.height; row += 1) {
      const line = lines.subarray(at + row * (length + 1) + 1, at + (row + 1) * (length + 1));
      for (let i = 0; i < size.width * SAMPLES[kind]; i += 1) {
        const value = depth === 8 ? line[i] : ((line[(i * depth) >> 3] >> (8 - depth - ((i * depth) & 7))) & (2 ** depth - 1)) * scale;
        const column = x + Math.floor(i / SAMPLES[kind]) * right;
        samples[((y + row * down) * width + column) * SAMPLES[kind] + (i % SAMPLES[kind])] = value;
      }
    }
    at += size.height * (length + 1);
  }
  return { photo: { width, height, ...channelsOf(samples, kind, depth, one.PLTE, one.tRNS) }, metadata, turned };
}

/**
 * Undo the filters of rows, in place.
 *
 * @param {Uint8Array} lines each with the number of its filter before it
 * @param {number} length of a row
 * @param {number} step bytes of a pixel
 */
function unfilter(lines, length, step) {
  for (let from = 0, above = -1; from < lines.length; above = from, from += length + 1) {
    const filter = lines[from];
    if (!filter) continue;
    for (let i = 1; i <= length; i += 1) {
      const left = i > step ? lines[from + i - step] : 0;
      const up = above < 0 ? 0 : lines[above + i];
      const corner = above < 0 || i <= step ? 0 : lines[above + i - step];
      lines[from + i] += expected(filter, left, up, corner);
    }
  }
}

/**
 * What PNG's filters expect of a byte, from those to the left, above, and above to the left.
 *
 * @param {number} filter
 * @param {number} left
 * @param {number} up
 * @param {number} corner
 */
function expected(filter, left, up, corner) {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/**
 * Colours of a palette, and opacity that is told beside the samples.
 *
 * @param {Uint8Array} samples
 * @param {number} kind
 * @param {number} depth
 * @param {Uint8Array} [palette]
 * @param {Uint8Array} [hidden]
 * @returns {{channels: 1 | 2 | 3 | 4, samples: Uint8Array}}
 */
function channelsOf(samples, kind, depth, palette, hidden) {
  const count = samples.length / SAMPLES[kind];
  if (kind === PALETTE) {
    if (!palette) throw new Error('its palette is missing');
    const channels = hidden ? 4 : 3;
    const found = new Uint8Array(count * channels).fill(255);
    for (let i = 0; i < count; i += 1) {
      const colour = Math.min(samples[i], palette.length / 3 - 1);
      found.set(palette.subarray(3 * colour, 3 * colour + 3), i * channels);
      if (hidden && colour < hidden.length) found[i * channels + 3] = hidden[colour];
    }
    return { channels, samples: found };
  }
  if (!hidden || kind > 2) return { channels: /** @type {1 | 2 | 3 | 4} */ (SAMPLES[kind]), samples };
  const own = SAMPLES[kind];
  const key = Array.from({ length: own }, (_, c) => (hidden[2 * c + 1] * 255) / (2 ** depth - 1));
  const found = new Uint8Array(count * (own + 1));
  for (let i = 0; i < count; i += 1) {
    const pixel = samples.subarray(i * own, (i + 1) * own);
    found.set(pixel, i * (own + 1));
    found[i * (own + 1) + own] = pixel.every((value, c) => value === key[c]) ? 0 : 255;
  }
  return { channels: own === 1 ? 2 : 4, samples: found };
}

/**
 * @param {Photo} photo
 * @param {Metadata} metadata
 * @returns {Promise<Blob>}
 */
export async function writePng({ width, height, channels, samples }, metadata) {
  const length = width * channels;
  const lines = new Uint8Array(height * (length + 1));
  for (let y = 0; y < height; y += 1) {
    const from = y * length;
    const to = y * (length + 1) + 1;
    lines[to - 1] = 4;
    for (let i = 0; i < length; i += 1) {
      const left = i >= channels ? samples[from + i - channels] : 0;
      const up = y ? samples[from + i - length] : 0;
      const corner = y && i >= channels ? samples[from + i - length - channels] : 0;
      lines[to + i] = samples[from + i] - expected(4, left, up, corner);
    }
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, KIND[channels]);
  /** @type {Uint8Array[]} */
  const parts = [new Uint8Array(SIGNATURE), chunk('IHDR', new Uint8Array(header.buffer))];
  if (metadata.icc) {
    // A name, how it is packed, and the profile.
    const name = Uint8Array.from([...'ICC profile'].map((c) => c.charCodeAt(0)));
    parts.push(chunk('iCCP', joined([name, new Uint8Array(2), await packed([metadata.icc])])));
  }
  if (metadata.kind === 'png') parts.push(...metadata.parts);
  if (metadata.exif) parts.push(chunk('eXIf', metadata.exif));
  parts.push(chunk('IDAT', await packed([lines])), chunk('IEND', new Uint8Array(0)));
  return new Blob(/** @type {BlobPart[]} */ (parts), { type: 'image/png' });
}
