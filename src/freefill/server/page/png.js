// @ts-check
/**
 * Masks as small PNG files, written and read without a canvas: one bit a pixel, or eight where an
 * edge is soft.
 *
 * The browser's own encoder writes four channels (for 12 megapixels that takes longer than the fill),
 * and some browsers add noise to all that is read from a canvas.
 */

/** @typedef {import('./mask.js').Mask} Mask */
/** @typedef {import('./types.js').Cover} Cover */

const GREY = 0;
const RGBA = 6;
const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/**
 * @param {Mask} mask
 * @param {boolean} soft keep how strongly each pixel is covered
 * @returns {Promise<Blob>} white = fill, black = keep
 */
export function encodeMask({ raster }, soft) {
  const { width, cover } = raster;
  if (soft) return encode(raster, GREY, 8, (line, y) => line.set(cover.subarray(y * width, (y + 1) * width)));
  return encode(raster, GREY, 1, (line, y) => {
    for (let x = 0; x < width; x += 1) if (cover[y * width + x] > 127) line[x >> 3] |= 128 >> (x & 7);
  });
}

/**
 * Strokes of colour as a PNG, transparent between them.
 *
 * @param {Mask} layer
 * @returns {Promise<Blob>}
 */
export function encodeColours({ raster }) {
  const { width, cover, colours } = raster;
  return encode(raster, RGBA, 8, (line, y) => {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      if (!cover[at] || !colours) continue;
      line.set(colours.subarray(3 * at, 3 * at + 3), 4 * x);
      line[4 * x + 3] = cover[at];
    }
  });
}

/**
 * @param {{width: number, height: number}} size
 * @param {number} kind of a pixel
 * @param {number} depth bits of a sample
 * @param {(line: Uint8Array, y: number) => void} write puts a row into bytes that are all 0
 */
async function encode({ width, height }, kind, depth, write) {
  const length = 1 + Math.ceil((width * depth * (kind === RGBA ? 4 : 1)) / 8);
  // The first byte of each row names its filter: none. All rows are written at once: while they are
  // packed, a hand may draw on.
  const lines = new Uint8Array(height * length);
  for (let y = 0; y < height; y += 1) write(lines.subarray(y * length + 1, (y + 1) * length), y);
  const packed = new Blob([lines]).stream().pipeThrough(new CompressionStream('deflate'));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, depth);
  header.setUint8(9, kind);
  const parts = [
    new Uint8Array(SIGNATURE),
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('IDAT', new Uint8Array(await new Response(packed).arrayBuffer())),
    chunk('IEND', new Uint8Array(0)),
  ];
  return new Blob(parts, { type: 'image/png' });
}

/**
 * Read a mask as the server writes it: 8 bits of grey, not interlaced.
 *
 * @param {Blob} file
 * @returns {Promise<Cover>}
 */
export async function decodeMask(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  const plain = bytes.length > 32 && SIGNATURE.every((byte, i) => byte === bytes[i]);
  if (!plain || bytes[24] !== 8 || bytes[25] !== GREY || bytes[28] !== 0) throw new Error('this is no mask');
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const parts = [];
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream('deflate'));
  const lines = new Uint8Array(await new Response(stream).arrayBuffer());
  if (lines.length !== height * (width + 1)) throw new Error('this mask is cut off');
  const cover = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const from = y * (width + 1);
    const filter = FILTERS[lines[from]];
    for (let x = 0, at = y * width; x < width; x += 1, at += 1) {
      const left = x ? cover[at - 1] : 0;
      const up = y ? cover[at - width] : 0;
      cover[at] = lines[from + 1 + x] + filter(left, up, x && y ? cover[at - width - 1] : 0);
    }
  }
  return { width, height, cover };
}

/** What PNG's filters expect of a pixel, from those to the left, above, and above to the left. */
const FILTERS = [
  () => 0,
  (/** @type {number} */ left) => left,
  (/** @type {number} */ _, /** @type {number} */ up) => up,
  (/** @type {number} */ left, /** @type {number} */ up) => (left + up) >> 1,
  (/** @type {number} */ left, /** @type {number} */ up, /** @type {number} */ corner) => {
    const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
    return a <= b && a <= c ? left : b <= c ? up : corner;
  },
];

/**
 * @param {string} name
 * @param {Uint8Array} content
 */
export function chunk(name, content) {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i += 1) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
