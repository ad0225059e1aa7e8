// @ts-check
/** Files to pictures for the screen, turned upright as their EXIF says. */

import { shows, view } from './server.js';

/** @typedef {import('./types.js').Shown} Shown */

/** Pixels of the largest picture that is drawn; a larger photo is shown at this size. */
const MOST_PIXELS = 16e6;
/** Longest side of the picture that is drawn when the whole photo is in view. */
const SMALL = 2048;
/** Bytes of a JPEG in which its frame's header is looked for: metadata come before it. */
const HEAD = 1 << 20;

/**
 * @param {Blob} file
 * @returns {Promise<Shown>}
 */
export async function decode(file) {
  /** @type {ImageBitmap} */
  let whole;
  let size;
  try {
    if ((await isInk(file)) || !(await shows(file))) throw new Error('browsers and fills see it in different colours');
    whole = await createImageBitmap(file);
    size = { width: whole.width, height: whole.height };
  } catch {
    // TIFF, HEIC, CMYK and the like: the server reads what a browser cannot, or says why nobody does.
    const seen = await view(file);
    whole = await createImageBitmap(seen.blob);
    size = { width: seen.width, height: seen.height };
  }
  const most = Math.sqrt(MOST_PIXELS / (whole.width * whole.height));
  if (most < 1) whole = await shrunk(whole, most);
  const less = SMALL / Math.max(whole.width, whole.height);
  return { ...size, whole, small: less < 1 ? await shrunk(whole, less) : whole };
}

/**
 * Whether a file is a JPEG of four inks.
 *
 * @param {Blob} file
 */
async function isInk(file) {
  const bytes = new DataView(await file.slice(0, HEAD).arrayBuffer());
  if (bytes.byteLength < 4 || bytes.getUint16(0) !== 0xffd8) return false;
  for (let place = 2; place + 10 <= bytes.byteLength; ) {
    const marker = bytes.getUint16(place);
    // A frame's header (SOF0 to SOF15) but not tables, which share its range of numbers.
    const tables = marker === 0xffc4 || marker === 0xffc8 || marker === 0xffcc;
    if (marker >= 0xffc0 && marker <= 0xffcf && !tables) return bytes.getUint8(place + 9) === 4;
    place += 2 + bytes.getUint16(place + 2);
  }
  return false;
}

/**
 * @param {ImageBitmap} picture
 * @param {number} factor
 */
function shrunk(picture, factor) {
  return createImageBitmap(picture, {
    resizeWidth: Math.max(1, Math.round(picture.width * factor)),
    resizeHeight: Math.max(1, Math.round(picture.height * factor)),
    resizeQuality: 'high',
  });
}
