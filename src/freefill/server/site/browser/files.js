// @ts-check
/** The large files of the site: fetched once with progress, checked, kept. */

/** @typedef {{bytes: number, sha256: string}} Content */
/** @typedef {Content & {name: string, unpacked: Content}} Entry A file as it travels, and what is in it. */
/** @typedef {{sketch: boolean, runtime: string, wasm: Entry, weights: Entry, segmenter: Entry}} Site What `site.json` says. */

/** The name of the cache; other pages of the same host have others. */
const KEPT = `freefill-large ${new URL('./', import.meta.url).pathname}`;

/** @returns {Promise<Site>} */
export async function site() {
  return (await fetch('site.json')).json();
}

/**
 * @param {Entry} entry
 * @param {(bytes: number) => void} progress is told how many bytes have come
 * @returns {Promise<Uint8Array>} as it was before it was packed
 */
export async function large(entry, progress) {
  // Without https, and off this machine, a browser has no caches; its own HTTP cache is left.
  const kept = globalThis.caches ? await caches.open(KEPT).catch(() => null) : null;
  const found = await kept?.match(entry.name);
  let bytes = found ? new Uint8Array(await found.arrayBuffer()) : null;
  // One that was damaged on the disk is fetched anew.
  if (bytes && !(await isThat(bytes, entry))) bytes = null;
  if (!bytes) {
    bytes = await fetched(entry, progress);
    if (!(await isThat(bytes, entry))) {
      throw new Error(`${entry.name} is not the file that this site was made with: it has ${bytes.length} bytes of ${entry.bytes}`);
    }
    const { buffer } = bytes;
    await kept?.put(entry.name, new Response(/** @type {ArrayBuffer} */ (buffer))).catch(() => {
      // No room on the disk, or a private window: it is fetched again next time.
    });
  }
  progress(entry.bytes);
  return unpacked(bytes);
}

/**
 * @param {Entry} entry
 * @param {(bytes: number) => void} progress
 */
async function fetched(entry, progress) {
  const answer = await fetch(entry.name);
  if (!answer.ok || !answer.body) throw new Error(`${entry.name} cannot be fetched: ${answer.status} ${answer.statusText}`);
  const parts = [];
  let count = 0;
  const reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    count += part.value.length;
    progress(Math.min(count, entry.bytes));
  }
  return new Uint8Array(await new Blob(/** @type {BlobPart[]} */ (parts)).arrayBuffer());
}

/**
 * Some servers have browsers unpack .gz files on the way, so either form is right.
 *
 * @param {Uint8Array} bytes
 * @param {Entry} entry
 */
async function isThat(bytes, entry) {
  const form = [entry, entry.unpacked].find((one) => one.bytes === bytes.length);
  if (!form) return false;
  // Browsers have it where a page is secure.
  if (!crypto.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (bytes)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') === form.sha256;
}

/** @param {Uint8Array} bytes */
async function unpacked(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
