// @ts-check
/** Files to pictures for the screen, turned upright as their EXIF says. */

import { view } from './server.js';

/** @typedef {import('./types.js').Shown} Shown */

/** Pixels of the largest picture that is drawn; a larger photo is shown at this size. */
const MOST_PIXELS = 16e6;
/** Longest side of the picture that is drawn when the whole photo is in view. */
const SMALL = 2048;

/**
 * @param {Blob} file
 * @returns {Promise<Shown>}
 */
export async function decode(file) {
  /** @type {ImageBitmap} */
  let whole;
  let size;
  try {
    whole = await createImageBitmap(file);
    size = { width: whole.width, height: whole.height };
  } catch {
    // TIFF, HEIC and the like: the server reads what a browser cannot.
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
