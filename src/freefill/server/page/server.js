// @ts-check
/** What the page asks of the server, and what went wrong in words for people. */

/** The server answered, and said no. */
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

/** The server did not answer. */
export class Unreachable extends Error {}

const POLL = 200;
const TRIES = 20;

let token = '';

/** @param {string} value what every request carries */
export function setToken(value) {
  token = value;
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 */
async function ask(path, init = {}) {
  const headers = new Headers(init.headers);
  if (token) headers.set('Authorization', `Bearer ${token}`);
  let answer;
  try {
    answer = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable('The server does not answer.');
  }
  if (answer.ok) return answer;
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = (await answer.json()).detail || message;
  } catch {
    // Whatever answered was not freefill: its status is all there is to say.
  }
  const refused = new Refused(answer.status, message);
  throw Object.assign(refused, { after: Number(answer.headers.get('Retry-After')) || 1 });
}

/**
 * The networks that fill, the default first, what a request may have, whether things can be picked, and
 * in which formats pictures can be saved (null: all).
 *
 * @returns {Promise<{models: {name: string, sketch: boolean, terms: string}[],
 *   limit: {body: number, pixels: number}, pick: boolean, formats: string[] | null}>}
 */
export async function about() {
  const { models, limits } = await (await ask('v1/models')).json();
  return { models, limit: limits, pick: true, formats: null };
}

/** The machine that photos go to; null: this one. */
export function photosGoTo() {
  return /^(localhost|127\..*|\[::1\])$/.test(location.hostname) ? null : location.hostname;
}

/** @returns {Promise<boolean>} */
export async function answers() {
  try {
    return (await fetch('healthz')).ok;
  } catch {
    return false;
  }
}

/** The photo that the server was started with. */
export async function givenPhoto() {
  const answer = await ask('studio/photo');
  const disposition = answer.headers.get('Content-Disposition') ?? '';
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1];
  const name = coded ? decodeURIComponent(coded) : /filename="([^"]+)"/.exec(disposition)?.[1];
  return new File([await answer.blob()], name ?? 'photo', { type: answer.headers.get('Content-Type') ?? '' });
}

/**
 * Whether what a browser shows of a file is all that will be filled: the server reads the file itself.
 *
 * @param {Blob} _file
 */
export async function shows(_file) {
  return true;
}

/**
 * A picture that the browser cannot read, for the screen.
 *
 * @param {Blob} file
 */
export async function view(file) {
  const form = new FormData();
  form.set('image', file);
  const answer = await ask('v1/view', { method: 'POST', body: form });
  const [width, height] = (answer.headers.get('View-Size') ?? '0x0').split('x').map(Number);
  return { blob: await answer.blob(), width, height };
}

/**
 * What of a photo a mask file marks, as a fill would read it.
 *
 * @param {Blob} image
 * @param {Blob} mask
 * @param {AbortSignal} signal
 */
export async function marked(image, mask, signal) {
  const form = new FormData();
  form.set('image', image);
  form.set('mask', mask);
  const answer = await ask('v1/view', { method: 'POST', body: form, signal });
  const [width, height] = (answer.headers.get('View-Size') ?? '0x0').split('x').map(Number);
  /** @type {string[]} */
  const notices = JSON.parse(answer.headers.get('View-Notices') ?? '[]');
  return { blob: await answer.blob(), width, height, notices };
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
export async function segment(image, x, y, signal) {
  const form = new FormData();
  form.set('image', image);
  form.set('at', `${Math.floor(x)},${Math.floor(y)}`);
  // A doubtful mask is seen before anything is filled.
  form.set('force', 'true');
  const answer = await ask('v1/segment', { method: 'POST', body: form, signal, headers: { Accept: 'image/*' } });
  const details = JSON.parse(answer.headers.get('Fill-Details') ?? '{}');
  return { blob: await answer.blob(), doubt: details.found?.doubt ?? '' };
}

/**
 * @typedef {object} Details
 * @property {number} left of the patch, in pixels of the photo
 * @property {number} top
 * @property {number} seconds
 * @property {number} hole share of the photo
 * @property {string[]} notices
 * @property {string} [ending] of the file, where it cannot be the photo's own
 */

/**
 * Fill; while the server has too much to do, wait and ask again.
 *
 * @param {{image: Blob, mask: Blob, sketch: Blob | null, colour: Blob | null, soft: boolean,
 *   model: string, fit: 'exact' | 'resize', patch: boolean, format: string}} work
 * @param {AbortSignal} signal ends it, here and on the server
 * @param {(message: string, share: number | null) => void} tell
 * @returns {Promise<{blob: Blob, details: Details}>}
 */
export async function fill(work, signal, tell) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await fillOnce(work, signal, tell);
    } catch (error) {
      const busy = error instanceof Refused && (error.status === 429 || error.status === 503);
      if (!busy || left <= 1) throw error;
      const seconds = /** @type {any} */ (error).after;
      tell(`The server is busy: asking again in ${seconds} s`, null);
      await pause(1000 * seconds, signal);
    }
  }
}

/** @type {typeof fill} */
async function fillOnce(work, signal, tell) {
  const form = new FormData();
  form.set('image', work.image);
  form.set('mask', work.mask);
  if (work.sketch) form.set('sketch', work.sketch);
  if (work.colour) form.set('colour', work.colour);
  if (work.model) form.set('model', work.model);
  form.set('fit', work.fit);
  form.set('soft', String(work.soft));
  form.set('patch', String(work.patch));
  if (work.format) form.set('format', work.format);
  const id = uuid();
  const done = new AbortController();
  const watching = watch(id, AbortSignal.any([signal, done.signal]), tell);
  try {
    const answer = await ask('v1/fill', {
      method: 'POST', body: form, signal, headers: { 'Fill-Id': id, Accept: 'image/*' },
    });
    const details = JSON.parse(answer.headers.get('Fill-Details') ?? '{}');
    try {
      return { blob: await answer.blob(), details };
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Unreachable('The server stopped in the middle of its answer.');
    }
  } finally {
    done.abort();
    await watching;
  }
}

/**
 * Tell how far a fill is, until the signal says that it is over.
 *
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(message: string, share: number | null) => void} tell
 */
async function watch(id, signal, tell) {
  const words = { reading: 'Reading the photo', filling: 'Filling', writing: 'Writing the picture' };
  try {
    for (;;) {
      await pause(POLL, signal);
      const answer = await ask(`v1/fills/${id}`, { signal });
      /** @type {{state: keyof typeof words | 'waiting' | 'unknown', ahead: number, done: number, total: number}} */
      const { state, ahead, done, total } = await answer.json();
      if (state === 'unknown') continue;
      if (state === 'waiting') tell(ahead ? `Waiting: ${ahead} before this one` : 'Waiting', null);
      else if (state === 'filling' && total > 1) tell(`Filling ${done} of ${total}`, done / total);
      else tell(words[state], null);
    }
  } catch {
    // Over: the fill itself says what became of it.
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** crypto.randomUUID exists only over https and on this machine; this one exists everywhere. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
