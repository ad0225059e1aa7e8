// @ts-check
/** Fills photos beside the page, which never waits: reads files, runs the network, writes files. */

import { fill, predictor } from './fill/fill.js';
import { large, site } from './files.js';
import { pick, saliency } from './pick/pick.js';
import { brightness, patchOf, read, write } from './photo_file.js';
import { writePng } from './png_file.js';

/** @typedef {import('./photo_file.js').Opened} Opened */
/** @typedef {import('./fill/boxes.js').Plane} Plane */
/** @typedef {import('./fill/fill.js').Predict} Predict */
/**
 * @typedef {object} Work
 * @property {Blob} image
 * @property {number} photo which one it is: the same number is the same photo
 * @property {number} result the number of what comes of it
 * @property {Blob} mask
 * @property {Blob | null} sketch
 * @property {Blob | null} colour
 * @property {boolean} soft
 * @property {boolean} patch
 * @property {string} format
 *
 * @typedef {object} Click
 * @property {Blob} image
 * @property {number} photo
 * @property {number} x
 * @property {number} y
 */

/** Photos that are kept decoded: what is being filled, and what it was before it was kept. */
const MOST = 2;
const MOST_THREADS = 4;
/** Of 255: what a line of one pixel still has when a sketch is made up to ten times larger. */
const LEFT = 20;
/** The runtime failed, and is not to be used again. */
class Fatal extends Error {}

const NOTHING = { kind: null, exif: null, icc: null, parts: [] };

const scope = /** @type {{postMessage: (message: unknown) => void, addEventListener: any, crossOriginIsolated: boolean}} */ (
  /** @type {unknown} */ (globalThis));
/** @type {Map<number, Opened>} */
const photos = new Map();
/** @type {Set<number>} Calls that nobody waits for. */
const cancelled = new Set();
/** @type {Promise<Predict> | null} */
let network = null;
/** @type {Promise<import('./pick/pick.js').Salient> | null} The network that sees objects. */
let segmenter = null;
/** @type {any} ONNX Runtime, once it is there. */
let runtime = null;
/** @type {(message: string, share: number | null) => void} */
let loading = () => {};

/** The network, fetched and made once; after a failure, asked for anew. */
function ready() {
  network ??= load().catch((error) => {
    network = null;
    tell(null, null);
    throw error;
  });
  return network;
}

/**
 * @param {string | null} message null: over
 * @param {number | null} share
 */
function tell(message, share) {
  scope.postMessage({ loading: { message, share } });
  if (message) loading(message, share);
}

async function load() {
  tell('Getting ready', null);
  const { runtime: module, wasm, weights } = await site();
  const have = { wasm: 0, weights: 0 };
  const progress = (/** @type {'wasm' | 'weights'} */ name) => (/** @type {number} */ bytes) => {
    have[name] = bytes;
    const all = wasm.bytes + weights.bytes;
    const mega = (/** @type {number} */ count) => (count / 1e6).toFixed(1);
    tell(`Getting ready: ${mega(have.wasm + have.weights)} of ${mega(all)} MB`, (have.wasm + have.weights) / all);
  };
  const [ort, binary, model] = await Promise.all([
    import(new URL(module, import.meta.url).href),
    large(wasm, progress('wasm')),
    large(weights, progress('weights')),
  ]);
  tell('Almost ready', null);
  // Threads share memory, which browsers allow where a server isolates the page (COOP and COEP).
  ort.env.wasm.numThreads = scope.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmBinary = binary;
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
  runtime = ort;
  tell(null, null);
  return predictor(ort, session);
}

/**
 * What sees objects, fetched when something is first picked.
 *
 * @param {(message: string, share: number | null) => void} say
 */
function sees(say) {
  segmenter ??= (async () => {
    await ready();
    const entry = (await site()).segmenter;
    const model = await large(entry, (bytes) => say('Fetching what sees objects', bytes / entry.bytes));
    return saliency(runtime, await runtime.InferenceSession.create(model, { executionProviders: ['wasm'] }));
  })().catch((error) => {
    segmenter = null;
    throw new Error(`what sees objects cannot be loaded (${error.message})`);
  });
  return segmenter;
}

/**
 * @param {number} call
 * @param {Click} click
 */
async function picked(call, { image, photo, x, y }) {
  const say = (/** @type {string} */ message, /** @type {number | null} */ share) => scope.postMessage({ call, message, share });
  loading = say;
  const opened = await open(photo, image);
  const salient = await sees(say);
  say('Looking for what is there', null);
  const { mask, doubt } = await pick(opened.photo, { x, y }, {
    salient: (planes, side) => salient(planes, side).catch(failed),
    progress: () => goesOn(call),
  });
  const { width, height, data } = mask;
  return { blob: await writePng({ width, height, channels: 1, samples: data.map((value) => 255 * value) }, NOTHING), doubt };
}

/**
 * After that the runtime is of no more use: mostly there was no room.
 *
 * @param {Error} error
 * @returns {never}
 */
function failed(error) {
  throw new Fatal(`the network failed (${error.message}); close other pages, or mark less at once`);
}

/**
 * Let what was sent meanwhile come in, and stop if that is what was asked for.
 *
 * @param {number} call
 */
async function goesOn(call) {
  await new Promise((resolve) => setTimeout(resolve));
  if (cancelled.has(call)) throw new Error('cancelled');
}

/**
 * @param {number} id
 * @param {Blob} file
 */
async function open(id, file) {
  const opened = photos.get(id) ?? (await read(file));
  keep(id, opened);
  return opened;
}

/**
 * @param {number} id
 * @param {Opened} opened
 */
function keep(id, opened) {
  photos.delete(id);
  photos.set(id, opened);
  const [oldest] = photos.keys();
  if (photos.size > MOST) photos.delete(oldest);
}

/**
 * @param {number} call
 * @param {Work} work
 */
async function filled(call, work) {
  const say = (/** @type {string} */ message, /** @type {number | null} */ share) => scope.postMessage({ call, message, share });
  say('Reading the photo', null);
  const opened = await open(work.photo, work.image);
  const { width, height } = opened.photo;
  const mask = (await read(work.mask)).photo;
  if (mask.width !== width || mask.height !== height) {
    throw new Error(`the photo is ${width}×${height}, but its mask ${mask.width}×${mask.height}`);
  }
  const guidance = work.sketch || work.colour ? await guidanceOf(work, width, height) : null;
  loading = say;
  const cover = { width, height, data: brightness(mask) };
  const predict = cover.data.some((value) => value > 127) ? await ready() : null;
  const start = performance.now();
  const { photo, hole } = await fill(opened.photo, cover, {
    predict: (inputs) => {
      if (!predict) throw new Error('there is nothing to fill');
      return predict(inputs).catch(failed);
    },
    guidance,
    soft: work.soft,
    progress: async (done, total) => {
      if (total > 1) say(`Filling ${done} of ${total}`, done / total);
      else say('Filling', null);
      await goesOn(call);
    },
  });
  const seconds = (performance.now() - start) / 1000;
  const result = { ...opened, photo };
  const notices = predict ? [] : ['the mask is empty: nothing is filled'];
  if (work.patch) {
    const { blob, left, top, share } = await patchOf(result, hole);
    return { blob, details: { left, top, seconds, hole: share, notices } };
  }
  say('Writing the picture', null);
  const written = await write(result, work.format);
  // It is filled on from what it is, not from what a JPEG makes of it.
  keep(work.result, result);
  // What is not written as it came needs another name.
  const ending = work.format || opened.metadata.kind ? undefined : '.png';
  const details = { left: 0, top: 0, seconds, hole: 0, notices: [...notices, ...written.notices], ending };
  return { blob: written.blob, details };
}

/**
 * @param {Work} work
 * @param {number} width of the photo
 * @param {number} height
 * @returns {Promise<import('./fill/guidance.js').Guidance>}
 */
async function guidanceOf(work, width, height) {
  const plane = () => ({ width, height, data: new Uint8Array(width * height) });
  const found = /** @type {import('./fill/guidance.js').Guidance} */ ({ lines: null, painted: null, colours: null });
  if (work.sketch) {
    const { photo } = await read(work.sketch);
    found.lines = enlarged(brightness(photo), photo.width, photo.height, plane());
  }
  if (work.colour) {
    const { photo } = await read(work.colour);
    found.painted = plane();
    found.colours = new Uint8Array(3 * width * height);
    for (let y = 0, to = 0; y < height; y += 1) {
      const row = Math.floor(((y + 0.5) * photo.height) / height) * photo.width;
      for (let x = 0; x < width; x += 1, to += 1) {
        const from = 4 * (row + Math.floor(((x + 0.5) * photo.width) / width));
        if (photo.samples[from + 3] < 128) continue;
        found.painted.data[to] = 1;
        found.colours.set(photo.samples.subarray(from, from + 3), 3 * to);
      }
    }
  }
  return found;
}

/**
 * Lines at the photo's size: between pixels a line is where there is enough of one.
 *
 * @param {Uint8Array} lines
 * @param {number} width
 * @param {number} height
 * @param {Plane} into
 */
function enlarged(lines, width, height, into) {
  if (width === into.width && height === into.height) return { ...into, data: lines.map((value) => (value > 127 ? 1 : 0)) };
  const places = (/** @type {number} */ length, /** @type {number} */ from) => Array.from({ length }, (_, i) => {
    const place = Math.min(Math.max(((i + 0.5) * from) / length - 0.5, 0), from - 1);
    const first = Math.floor(place);
    return [first, Math.min(first + 1, from - 1), place - first];
  });
  const across = places(into.width, width);
  places(into.height, height).forEach(([top, bottom, down], y) => {
    for (let x = 0; x < into.width; x += 1) {
      const [left, right, share] = across[x];
      const row = (/** @type {number} */ at) => lines[at * width + left] * (1 - share) + lines[at * width + right] * share;
      into.data[y * into.width + x] = row(top) * (1 - down) + row(bottom) * down > LEFT ? 1 : 0;
    }
  });
  return into;
}

/** @param {Blob} file */
async function marked(file) {
  const { photo } = await read(file);
  const { width, height } = photo;
  const cover = brightness(photo);
  const notices = cover.some((value) => value > 127) ? [] : ['the mask is empty: nothing is filled'];
  return { blob: await writePng({ width, height, channels: 1, samples: cover }, NOTHING), width, height, notices };
}

/** @type {Promise<unknown>} What is done is done one after the other. */
let line = Promise.resolve();

scope.addEventListener('message', (/** @type {MessageEvent} */ { data }) => {
  if (data.cancel) {
    cancelled.add(data.cancel);
    return;
  }
  if (data.load) {
    ready().catch((error) => scope.postMessage({ loading: { message: null, share: null, error: error.message } }));
    return;
  }
  const { call } = data;
  line = line.then(async () => {
    try {
      if (cancelled.has(call)) return;
      const value = data.work ? await filled(call, data.work) : data.click ? await picked(call, data.click) : await marked(data.mask);
      scope.postMessage({ call, value });
    } catch (error) {
      scope.postMessage({ call, error: error instanceof Error ? error.message : String(error), fatal: error instanceof Fatal });
    } finally {
      loading = () => {};
      cancelled.delete(call);
    }
  });
});
