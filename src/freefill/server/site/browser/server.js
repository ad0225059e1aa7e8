// @ts-check
/**
 * What the page asks of a server, answered in the browser: the same functions as the served page's own
 * `server.js`, which this file takes the place of.
 */

import { el } from './elements.js';
import { site } from './files.js';
import { show } from './messages.js';

/** @typedef {import('../../page/server.js').Details} Details */

/** It is not possible here. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** There is no server that could be away; the page knows the name. */
export class Unreachable extends Error {}

/** Pixels of the largest photo: with its fill, and what is shown of it, half a gigabyte. */
const MOST_PIXELS = 32e6;
const PROGRAM = 'freefill on a computer (pip install freefill) can';
const UNREADABLE = `this browser cannot read such files; ${PROGRAM}`;

/** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void, tell: Tell}>} */
const waiting = new Map();
/** @typedef {(message: string, share: number | null) => void} Tell */
/** @type {WeakMap<Blob, number>} Which photo a file is. */
const numbers = new WeakMap();
let count = 0;
/** @type {Worker | null} */
let worker = null;

function started() {
  if (worker) return worker;
  const made = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  made.addEventListener('message', ({ data }) => {
    if (data.loading) return loading(data.loading);
    const call = waiting.get(data.call);
    if (!call) return undefined;
    if ('message' in data) return call.tell(data.message, data.share);
    waiting.delete(data.call);
    if (data.fatal) {
      // The next fill begins with another one.
      made.terminate();
      worker = null;
    }
    return 'error' in data ? call.reject(new Refused(422, data.error)) : call.resolve(data.value);
  });
  // One that ended, for want of memory perhaps, is begun anew by the next call.
  made.addEventListener('error', (event) => {
    event.preventDefault();
    worker = null;
    for (const call of waiting.values()) call.reject(new Refused(500, `the worker ended: ${event.message || 'no room perhaps'}`));
    waiting.clear();
    loading({ message: null, share: null, error: 'it could not be started' });
  });
  worker = made;
  return made;
}

/** @param {{message: string | null, share: number | null, error?: string}} state */
function loading({ message, error }) {
  const shown = el('loading', HTMLElement);
  shown.hidden = !message;
  shown.textContent = message ?? '';
  if (error) show(`What fills cannot be loaded: ${error}. The next fill tries again.`, 'error');
  document.body.classList.toggle('loaded', !message && !error);
}

/**
 * @param {object} what
 * @param {AbortSignal} signal
 * @param {Tell} tell
 * @returns {Promise<any>}
 */
function ask(what, signal, tell) {
  const call = (count += 1);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    waiting.set(call, { resolve, reject, tell });
    signal.addEventListener('abort', () => {
      if (!waiting.delete(call)) return;
      // It ends before its next run of the network.
      started().postMessage({ cancel: call });
      reject(signal.reason);
    }, { once: true });
    started().postMessage({ call, ...what });
  });
}

/** @param {Blob} file */
function numberOf(file) {
  const found = numbers.get(file) ?? (count += 1);
  numbers.set(file, found);
  return found;
}

export function setToken() {
  // Nobody is asked for anything.
}

/** What this page can do; the network is on its way. */
export async function about() {
  const { sketch } = await site();
  started().postMessage({ load: true });
  // Where a page is not secure there is none: it works, but not offline.
  navigator.serviceWorker?.register('sw.js').catch(() => {});
  const models = [{ name: 'light', sketch, terms: '' }];
  return { models, limit: { body: Infinity, pixels: MOST_PIXELS }, pick: true, formats: ['png', 'jpeg'] };
}

/** The machine that photos go to: this one. */
export function photosGoTo() {
  return null;
}

export async function answers() {
  return true;
}

/** @returns {Promise<File>} */
export async function givenPhoto() {
  throw new Refused(404, 'this page was started with no photo');
}

/**
 * Whether a browser shows all that a file has.
 *
 * @param {Blob} file
 */
export async function shows(file) {
  const head = new Uint8Array(await file.slice(0, 26).arrayBuffer());
  return !(head[0] === 0x89 && head[1] === 0x50 && head[24] === 16);
}

/**
 * A picture that the browser cannot read.
 *
 * @param {Blob} file
 * @returns {Promise<{blob: Blob, width: number, height: number}>}
 */
export async function view(file) {
  if (!(await shows(file))) throw new Refused(415, `it has 16 bits a sample, of which a browser keeps 8; ${PROGRAM} keep them`);
  const jpeg = file.type === 'image/jpeg' ? 'JPEGs of four inks (CMYK) are not filled here; ' : '';
  throw new Refused(415, jpeg ? `${jpeg}${PROGRAM}` : UNREADABLE);
}

/**
 * @param {Blob} _image
 * @param {Blob} mask
 * @param {AbortSignal} signal
 * @returns {Promise<{blob: Blob, width: number, height: number, notices: string[]}>}
 */
export function marked(_image, mask, signal) {
  return ask({ mask }, signal, () => {});
}

/**
 * The mask of whatever lies at a place of a photo, and why it may be no thing: '' if nothing speaks against it.
 *
 * @param {Blob} image
 * @param {number} x in pixels of the photo
 * @param {number} y
 * @param {AbortSignal} signal
 * @returns {Promise<{blob: Blob, doubt: string}>}
 */
export function segment(image, x, y, signal) {
  return ask({ click: { image, photo: numberOf(image), x: Math.floor(x), y: Math.floor(y) } }, signal, () => {});
}

/**
 * @param {{image: Blob, mask: Blob, sketch: Blob | null, colour: Blob | null, soft: boolean,
 *   fit: 'exact' | 'resize', patch: boolean, format: string}} work
 * @param {AbortSignal} signal
 * @param {Tell} tell
 * @returns {Promise<{blob: Blob, details: Details}>}
 */
export async function fill(work, signal, tell) {
  const result = (count += 1);
  const answer = await ask({ work: { ...work, photo: numberOf(work.image), result } }, signal, tell);
  if (!work.patch) numbers.set(answer.blob, result);
  return answer;
}
