// @ts-check
/**
 * The document: a photo, its mask, its fills, and what can be done with them.
 *
 * Each fill starts from the photo with the whole mask, so that no fill is built upon another's
 * mistakes; `keep` makes a fill the photo, for those who want to build upon it.
 */

import { History } from './history.js';
import { Mask, SKETCH_PIXELS, grown, isBlank, isSoft } from './mask.js';
import { decode } from './pictures.js';
import { decodeMask, encodeColours, encodeMask } from './png.js';
import { save } from './saving.js';
import { Refused, Unreachable, answers, fill, marked, segment } from './server.js';

/** @typedef {import('./types.js').Op} Op */
/** @typedef {import('./types.js').Drawing} Drawing */
/** @typedef {import('./types.js').State} State */
/** @typedef {import('./view.js').View} View */

const AGAIN = 2000;
const FILL = 'Filling';

/** Tasks that are done one after the other, and stopped together. */
class Line {
  constructor() {
    this.stop = new AbortController();
    /** @type {string[]} Of the task that runs, and of those that wait. */
    this.titles = [];
    /** @type {Promise<unknown>} */
    this.end = Promise.resolve();
    this.failed = false;
    /** @type {State | null} The document when the task that runs began. */
    this.state = null;
  }
}

export class Studio {
  /**
   * @param {View} view
   * @param {object} hooks
   * @param {() => void} hooks.changed the document is another
   * @param {(message: string | null, share: number | null) => void} hooks.progress null: over
   * @param {(text: string, kind?: 'note' | 'doubt' | 'error') => () => void} hooks.show tells a person
   */
  constructor(view, hooks) {
    this.view = view;
    this.hooks = hooks;
    /** @type {History | null} */
    this.history = null;
    this.name = '';
    /** @type {File | null} */
    this.file = null;
    /** @type {Line | null} What is being done, and what waits for it. */
    this.work = null;
    /** @type {State | null} The state that was saved, or opened. */
    this.saved = null;
    /** @type {{body: number, pixels: number}} */
    this.limit = { body: Infinity, pixels: Infinity };
    /** The network that fills next; '' where there is only one. */
    this.model = '';
    /** The network that the last fill was asked of. */
    this.filling = '';
    /** Counted up with each photo: an answer about an earlier one is late. */
    this.photo = 0;
  }

  get state() {
    return this.history?.now ?? null;
  }

  get dirty() {
    const { state, saved } = this;
    if (!state) return false;
    return !saved || state.patch !== saved.patch || state.base !== saved.base || !same(state, saved);
  }

  /** Whether there is something that the photo's own file does not have. */
  get filled() {
    const { state } = this;
    return state !== null && (state.patch !== null || state.base.blob !== this.file);
  }

  /** Whether something is marked, and the network made no fill from what is drawn now. */
  get pending() {
    const { state } = this;
    if (state === null || isBlank(state.ops)) return false;
    return state.patch?.model !== this.model || !same(state, state.patch.drawing);
  }

  /** @param {File} file */
  async open(file) {
    if (!this.fits(file)) return;
    this.cancel();
    const photo = (this.photo += 1);
    this.hooks.progress(`Opening ${file.name}`, null);
    try {
      const image = await decode(file);
      if (photo !== this.photo) return;
      if (image.width * image.height > this.limit.pixels) {
        const mega = (/** @type {number} */ pixels) => (pixels / 1e6).toFixed(1);
        const size = `${image.width}×${image.height}, ${mega(image.width * image.height)} megapixels`;
        throw new Refused(413, `${file.name} is ${size}; at most ${mega(this.limit.pixels)} are taken.`);
      }
      /** @type {State} */
      const state = { base: { blob: file, image }, ...NOTHING, patch: null };
      this.name = file.name;
      this.file = file;
      this.history = new History(state);
      this.saved = state;
      this.view.open(state);
      if (!this.view.mask?.exact) {
        this.hooks.show('This photo is so large that its mask is kept at a lower resolution.');
      }
    } catch (error) {
      if (photo === this.photo) this.fail(error, `${file.name} cannot be opened`);
    } finally {
      if (photo === this.photo) this.hooks.progress(null, null);
    }
    this.hooks.changed();
  }

  /** @param {File} file */
  fits(file) {
    if (file.size <= this.limit.body) return true;
    const mega = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1);
    this.hooks.show(`${file.name} is ${mega(file.size)} MB; at most ${mega(this.limit.body)} MB are taken.`, 'error');
    return false;
  }

  /**
   * @param {Op} op
   * @param {string} label
   */
  add(op, label) {
    const { state } = this;
    if (state) this.push({ ops: [...state.ops, op] }, label);
  }

  /**
   * Add a line or a stroke of colour.
   *
   * @param {import('./types.js').Stroke} stroke
   * @param {import('./types.js').Layer} layer
   */
  guide(stroke, layer) {
    const { state } = this;
    if (!state) return;
    const words = { lines: 'Line', colours: 'Colour' };
    this.push({ [layer]: [...state[layer], stroke] }, stroke.erase ? `Erase ${words[layer].toLowerCase()}` : words[layer]);
  }

  clearGuides() {
    const { state } = this;
    if (state && (state.lines.length || state.colours.length)) this.push({ lines: [], colours: [] }, 'Clear sketch');
  }

  /**
   * @param {Partial<State>} change
   * @param {string} label
   */
  push(change, label) {
    this.history?.push(change, label);
    this.refresh();
  }

  refresh() {
    if (this.state) this.view.show(this.state);
    this.hooks.changed();
  }

  undo() {
    this.cancel();
    this.history?.undo();
    this.refresh();
  }

  redo() {
    this.cancel();
    this.history?.redo();
    this.refresh();
  }

  /** @param {number} radius in pixels */
  grow(radius) {
    if (this.view.mask) this.add(grown(this.view.mask, radius), `Grow by ${radius} px`);
  }

  /**
   * @param {File} file
   * @param {boolean} [fitting] only if it has the photo's size
   * @returns {Promise<boolean>} whether it was taken, or why not was told
   */
  async importMask(file, fitting = false) {
    if (!this.state || !this.fits(file)) return true;
    let other = false;
    await this.run(`Reading ${file.name}`, async (state, signal) => {
      const { width, height } = state.base.image;
      const mask = await marked(state.base.blob, file, signal);
      other = fitting && (mask.width !== width || mask.height !== height);
      if (other) return;
      const image = await decodeMask(mask.blob);
      this.add({ kind: 'bitmap', image, replace: false }, 'Import mask');
      for (const line of mask.notices) this.hooks.show(line);
      if (mask.width !== width || mask.height !== height) {
        const sizes = `${mask.width}×${mask.height}; the photo is ${width}×${height}`;
        this.hooks.show(`The mask is ${sizes}: it was stretched to fit.`);
      }
    }, { anyway: true, wrong: `${file.name} cannot be read as a mask` });
    return !other;
  }

  async exportMask() {
    const { state, view } = this;
    if (!state || !view.mask) return;
    await save(await encodeMask(view.mask, isSoft(state.ops)), `${stem(this.name)}_mask.png`);
  }

  /**
   * Mark the thing at a place.
   *
   * @param {number} x
   * @param {number} y
   * @param {boolean} erase take it away from the mask instead
   * @returns {Promise<boolean>} whether there was one
   */
  async pick(x, y, erase) {
    if (!this.state) return false;
    return this.run('Looking for what is there', async ({ base }, signal) => {
      const { blob, doubt } = await segment(base.blob, x, y, signal);
      const image = await decodeMask(blob);
      this.add({ kind: 'bitmap', image, replace: false, erase }, erase ? 'Take away a thing' : 'Pick');
      if (doubt) {
        // A fill that waits for it is not done before the outline was seen.
        if (this.work) this.work.failed = true;
        this.hooks.show(`This may be no thing, or another one: ${doubt}. Look at the outline before you fill; `
          + 'Undo takes it back.', 'doubt');
      }
    }, { anyway: true });
  }

  /** Fill what is marked, and what is about to be. */
  async fill() {
    const { state, work } = this;
    if (!state || !(work || this.pending)) return;
    if (work?.titles.at(-1) === FILL) {
      // One that waits takes all that there is at its turn; one that runs lacks what is new.
      const covered = work.state && same(state, work.state) && this.filling === this.model;
      if (work.titles.length > 1 || covered) return;
      this.cancel();
    }
    await this.run(FILL, async (now, signal) => {
      if (!this.pending) return;
      const model = (this.filling = this.model);
      const { blob, details } = await this.ask(now, model, true, '', signal);
      const image = await createImageBitmap(blob);
      const { ops, lines, colours } = now;
      const { left, top, seconds } = details;
      const patch = { image, left, top, seconds, model, drawing: { ops, lines, colours } };
      // What was drawn meanwhile stays: it is the next fill's.
      this.push({ patch }, model ? `Fill with ${model}` : 'Fill');
      for (const line of details.notices) this.hooks.show(line);
    });
  }

  /** Make the fill the photo that the next fill starts from. */
  async keep() {
    if (!this.state?.patch) return;
    await this.run('Keeping the fill', async (state, signal) => {
      if (!state.patch) return;
      const { model, drawing } = state.patch;
      const { blob, details } = await this.ask({ ...state, ...drawing }, model, false, '', signal);
      const image = await decode(blob);
      this.push({ base: { blob, image, ending: details.ending }, ...NOTHING, patch: null }, 'Keep fill');
    });
  }

  /** @param {string} format e.g. 'png'; '' for the photo's own */
  async save(format) {
    if (!this.state) return;
    await this.run('Saving', async (state, signal) => {
      const { patch } = state;
      // A kept fill in the photo's own format is a whole file already.
      let blob = state.base.blob;
      let ending = format ? `.${ENDINGS[format] ?? format}` : state.base.ending ?? suffix(this.name);
      if (patch || format) {
        const drawing = patch ? patch.drawing : NOTHING;
        const answer = await this.ask({ ...state, ...drawing }, patch?.model ?? '', false, format, signal);
        blob = answer.blob;
        ending = answer.details.ending ?? ending;
        for (const line of answer.details.notices) if (patch || !/empty/.test(line)) this.hooks.show(line);
      }
      if (!(await save(blob, `${stem(this.name)}_filled${ending}`))) return;
      this.saved = state;
      this.hooks.changed();
    });
  }

  /**
   * @param {State} state
   * @param {string} model
   * @param {boolean} patch only the pixels inside the hole
   * @param {string} format
   * @param {AbortSignal} signal
   */
  async ask({ base, ops, lines, colours }, model, patch, format, signal) {
    // The mask on the screen mostly is the one that is meant; another is as large as the photo.
    const shown = this.view.mask;
    const mask = shown?.ops === ops ? shown : new Mask(base.image.width, base.image.height);
    mask.show(ops);
    const soft = isSoft(ops);
    const { width, height } = base.image;
    const sketch = guide(lines, width, height);
    const colour = guide(colours, width, height, null);
    const exact = [mask, sketch, colour].every((layer) => !layer || layer.exact);
    const work = {
      image: base.blob,
      mask: await encodeMask(mask, soft),
      sketch: sketch && (await encodeMask(sketch, false)),
      colour: colour && (await encodeColours(colour)),
      fit: exact ? /** @type {const} */ ('exact') : /** @type {const} */ ('resize'),
      soft,
      model,
      patch,
      format,
    };
    return fill(work, signal, this.hooks.progress);
  }

  /**
   * Do one thing that takes time, after all that was asked for before it.
   *
   * @param {string} title
   * @param {(state: State, signal: AbortSignal) => Promise<void>} task takes the document at its turn
   * @param {object} [how]
   * @param {boolean} [how.anyway] do it even if something before it did not work
   * @param {string} [how.wrong] what to say if it does not
   * @returns {Promise<boolean>} whether it was done
   */
  async run(title, task, { anyway = false, wrong = `${title} did not work` } = {}) {
    const work = (this.work ??= new Line());
    const turn = work.end.then(async () => {
      const { state } = this;
      const { signal } = work.stop;
      if (!state || signal.aborted || (work.failed && !anyway)) return false;
      work.state = state;
      try {
        await task(state, signal);
      } catch (error) {
        work.failed = true;
        if (!signal.aborted) this.fail(error, wrong);
        return false;
      }
      return !signal.aborted;
    });
    work.titles.push(title);
    work.end = turn.then(() => {
      work.titles.shift();
      if (this.work !== work) return;
      if (work.titles.length === 0) this.work = null;
      this.tell();
    });
    this.tell();
    await work.end;
    return turn;
  }

  /** Say what is being done. */
  tell() {
    const [first = null, ...rest] = this.work?.titles ?? [];
    this.hooks.progress(rest.length ? `${first}; ${rest.length} more to do` : first, null);
    this.hooks.changed();
  }

  /**
   * Stop what is being done, and drop what waits.
   *
   * @returns {boolean} whether there was something to stop
   */
  cancel() {
    if (!this.work) return false;
    this.work.stop.abort();
    this.work = null;
    this.tell();
    return true;
  }

  /**
   * @param {unknown} error
   * @param {string} what
   */
  fail(error, what) {
    if (error instanceof Unreachable) this.wait(error.message);
    else if (error instanceof Refused && error.status === 401) {
      this.hooks.show('This page lacks the token: open the address that freefill printed when it started.', 'error');
    } else this.hooks.show(`${what}: ${error instanceof Error ? error.message : error}`, 'error');
  }

  /**
   * Say that the server is away, and when it is back.
   *
   * @param {string} message
   */
  wait(message) {
    const gone = this.hooks.show(
      `${message} Your photo and mask are kept here. Start freefill again, then repeat.`, 'error');
    const timer = setInterval(async () => {
      if (!(await answers())) return;
      clearInterval(timer);
      gone();
      this.hooks.show('The server is back.');
    }, AGAIN);
  }
}

/** @type {Drawing} */
const NOTHING = { ops: [], lines: [], colours: [] };

/**
 * @param {Drawing} a
 * @param {Drawing | undefined} b
 */
function same(a, b) {
  return a.ops === b?.ops && a.lines === b.lines && a.colours === b.colours;
}

/**
 * @param {readonly import('./types.js').Stroke[]} strokes
 * @param {number} width of the photo
 * @param {number} height
 * @param {string | null} [colour] null: strokes have colours of their own
 * @returns {Mask | null} null where nothing is drawn
 */
function guide(strokes, width, height, colour) {
  if (isBlank(strokes)) return null;
  const layer = new Mask(width, height, SKETCH_PIXELS, colour);
  layer.show(strokes);
  return layer;
}

/** @type {Record<string, string>} */
const ENDINGS = { jpeg: 'jpg', tiff: 'tif' };

/** @param {string} name */
function stem(name) {
  return name.replace(/\.[^.]*$/, '') || 'photo';
}

/** @param {string} name */
function suffix(name) {
  return /\.[^.]*$/.exec(name)?.[0] ?? '';
}
