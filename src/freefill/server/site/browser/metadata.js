// @ts-check
/** What files hold beside pixels: EXIF and colour profiles, and what of a JPEG or PNG is copied as it is. */

/**
 * @typedef {object} Metadata
 * @property {'png' | 'jpeg' | null} kind of file; null: another, of which nothing is kept
 * @property {Uint8Array | null} exif a TIFF block, turned upright
 * @property {Uint8Array | null} icc
 * @property {Uint8Array[]} parts further segments or chunks, whole, for a file of the same kind
 */

const text = (/** @type {Uint8Array} */ bytes) => String.fromCharCode(...bytes);
const EXIF = 'Exif\0\0';
const ICC = 'ICC_PROFILE\0';
/** Bytes of a profile in one segment. */
const MOST = 65519;
const ORIENTATION = 0x0112;
const THUMBNAIL = 0x0201;
const THUMBNAIL_LENGTH = 0x0202;

/** @param {Uint8Array} bytes */
function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {Uint8Array[]} parts */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Segments of a JPEG before its picture: marker, place, and bytes with marker and length.
 *
 * @param {Uint8Array} file
 */
export function segments(file) {
  const view = viewOf(file);
  const found = [];
  let at = 2;
  while (at + 4 <= file.length && file[at] === 0xff && file[at + 1] !== 0xda) {
    const end = at + 2 + view.getUint16(at + 2);
    if (end > file.length) break;
    found.push({ marker: file[at + 1], bytes: file.slice(at, end) });
    at = end;
  }
  return { found, rest: file.subarray(at) };
}

/**
 * @param {Uint8Array} file a JPEG
 * @returns {Metadata}
 */
export function ofJpeg(file) {
  /** @type {Metadata} */
  const metadata = { kind: 'jpeg', exif: null, icc: null, parts: [] };
  /** @type {Uint8Array[]} */
  const profile = [];
  for (const { marker, bytes } of segments(file).found) {
    const name = text(bytes.subarray(4, 18));
    if (marker === 0xe1 && name.startsWith(EXIF)) metadata.exif = upright(bytes.slice(10));
    else if (marker === 0xe2 && name.startsWith(ICC)) profile[bytes[16]] = bytes.subarray(18);
    // XMP, IPTC, comments. Adobe's own (14) says how colours are stored, which a new file may do otherwise.
    else if (marker === 0xe1 || marker === 0xed || marker === 0xfe) metadata.parts.push(bytes);
  }
  if (profile.length) metadata.icc = joined(profile.filter(Boolean));
  return metadata;
}

/**
 * Put metadata into a JPEG, in the place of what an encoder has put there.
 *
 * @param {Uint8Array} file
 * @param {Metadata} metadata
 */
export function intoJpeg(file, metadata) {
  const { found, rest } = segments(file);
  const own = (/** @type {number} */ marker) => marker === 0xe1 || marker === 0xe2 || marker === 0xed || marker === 0xfe;
  const parts = [];
  if (metadata.exif) parts.push(segment(0xe1, EXIF, metadata.exif));
  const count = Math.ceil((metadata.icc?.length ?? 0) / MOST);
  // What an encoder makes of a canvas has three colours, whatever the photo's own file had.
  const fits = metadata.icc && text(metadata.icc.subarray(16, 20)) === 'RGB ';
  for (let i = 0; i < count && fits && metadata.icc; i += 1) {
    const part = joined([new Uint8Array([i + 1, count]), metadata.icc.subarray(i * MOST, (i + 1) * MOST)]);
    parts.push(segment(0xe2, ICC, part));
  }
  if (metadata.kind === 'jpeg') parts.push(...metadata.parts);
  const head = found.filter(({ marker }) => marker === 0xe0).map(({ bytes }) => bytes);
  const tail = found.filter(({ marker }) => marker !== 0xe0 && !own(marker)).map(({ bytes }) => bytes);
  return joined([file.subarray(0, 2), ...head, ...parts, ...tail, rest]);
}

/**
 * @param {number} marker
 * @param {string} name
 * @param {Uint8Array} content
 */
function segment(marker, name, content) {
  const length = 2 + name.length + content.length;
  if (length > 0xffff) throw new Error('this photo\'s EXIF is too large for a JPEG: save it as PNG');
  const head = Uint8Array.from([0xff, marker, length >> 8, length & 255, ...Array.from(name, (c) => c.charCodeAt(0))]);
  return joined([head, content]);
}

/**
 * Say of an EXIF block that its picture is upright, and take out its thumbnail, which shows what was filled.
 *
 * @param {Uint8Array} exif a TIFF block; changed
 */
export function upright(exif) {
  try {
    const view = viewOf(exif);
    const little = view.getUint16(0) === 0x4949;
    const first = view.getUint32(4, little);
    const count = view.getUint16(first, little);
    for (let i = 0, at = first + 2; i < count; i += 1, at += 12) {
      if (view.getUint16(at, little) === ORIENTATION) view.setUint16(at + 8, 1, little);
    }
    const pointer = first + 2 + 12 * count;
    const next = view.getUint32(pointer, little);
    if (next) {
      erase(exif, view, next, little);
      view.setUint32(pointer, 0, little);
    }
  } catch {
    // A block that ends in the middle of an entry: what can be read of it has been seen to.
  }
  return exif;
}

/**
 * @param {Uint8Array} exif
 * @param {DataView} view
 * @param {number} directory
 * @param {boolean} little
 */
function erase(exif, view, directory, little) {
  /** @type {Record<number, number>} */
  const found = { [THUMBNAIL]: 0, [THUMBNAIL_LENGTH]: 0 };
  const count = view.getUint16(directory, little);
  for (let i = 0, at = directory + 2; i < count; i += 1, at += 12) {
    const tag = view.getUint16(at, little);
    if (tag in found) found[tag] = view.getUint32(at + 8, little);
  }
  if (found[THUMBNAIL]) exif.fill(0, found[THUMBNAIL], found[THUMBNAIL] + found[THUMBNAIL_LENGTH]);
}

/**
 * How a block of EXIF says that its picture has to be turned, 1 to 8.
 *
 * @param {Uint8Array} exif
 */
export function orientation(exif) {
  try {
    const view = viewOf(exif);
    const little = view.getUint16(0) === 0x4949;
    const first = view.getUint32(4, little);
    for (let i = 0, at = first + 2; i < view.getUint16(first, little); i += 1, at += 12) {
      if (view.getUint16(at, little) === ORIENTATION) return view.getUint16(at + 8, little);
    }
  } catch {
    // As above.
  }
  return 1;
}
