// @ts-check
/**
 * Masks as small PNG files: one bit a pixel, or eight where an edge is soft.
 *
 * The browser's own encoder writes four channels: for 12 megapixels that takes longer than the fill.
 */

/** @typedef {import('./mask.js').Mask} Mask */

const ROWS = 256;
const GREY = 0;

/**
 * @param {Mask} mask
 * @param {boolean} soft keep how strongly each pixel is covered
 * @returns {Promise<Blob>} white = fill, black = keep
 */
export async function encodeMask(mask, soft) {
  const { width, height } = mask.canvas;
  const context = mask.context;
  const length = 1 + (soft ? width : Math.ceil(width / 8));
  const deflate = new CompressionStream('deflate');
  const packed = new Response(deflate.readable).arrayBuffer();
  const writer = deflate.writable.getWriter();
  for (let top = 0; top < height; top += ROWS) {
    const rows = Math.min(ROWS, height - top);
    const { data } = context.getImageData(0, top, width, rows);
    // The first byte of each row names its filter: none.
    const lines = new Uint8Array(rows * length);
    for (let y = 0; y < rows; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const cover = data[4 * (y * width + x) + 3];
        if (soft) lines[y * length + 1 + x] = cover;
        else if (cover > 127) lines[y * length + 1 + (x >> 3)] |= 128 >> (x & 7);
      }
    }
    await writer.write(lines);
  }
  await writer.close();
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, soft ? 8 : 1);
  header.setUint8(9, GREY);
  const parts = [
    new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('IDAT', new Uint8Array(await packed)),
    chunk('IEND', new Uint8Array(0)),
  ];
  return new Blob(parts, { type: 'image/png' });
}

/**
 * Strokes of colour as a PNG, transparent between them.
 *
 * @param {Mask} layer
 * @returns {Promise<Blob>}
 */
export function encodeColours(layer) {
  return new Promise((resolve, reject) => {
    layer.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the browser has no room'))), 'image/png');
  });
}

/**
 * @param {string} name
 * @param {Uint8Array} content
 */
function chunk(name, content) {
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
