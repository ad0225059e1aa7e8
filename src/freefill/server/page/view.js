// @ts-check
/**
 * What is seen: the photo, its fill and its mask, at any zoom.
 *
 * Three canvases have one pixel for each pixel of the screen, whatever the device's scale: at 100 % a
 * pixel of the photo is a pixel of the screen. Places on the screen are in those pixels here.
 */

import { LINE, Mask, SKETCH_PIXELS, paint } from './mask.js';

/** @typedef {import('./types.js').State} State */
/** @typedef {import('./types.js').Drawn} Drawn */
/** @typedef {import('./types.js').Op} Op */

const LARGEST = 32;
const MARGIN = 24;
/** From this enlargement on, pixels are shown as squares. */
const SQUARES = 2;
/** Pixels of the copy of a mask that only dims what is filled already. */
const DIM_PIXELS = 2e6;
const DIM = 0.8;

export class View {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLCanvasElement} photo
   * @param {HTMLCanvasElement} over for the mask
   * @param {HTMLCanvasElement} guide for sketch and strokes
   */
  constructor(stage, photo, over, guide) {
    this.stage = stage;
    this.photo = photo;
    this.over = over;
    this.guide = guide;
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    /** Whether the photo is to fit again when the window changes. */
    this.fitted = true;
    /** @type {State | null} */
    this.state = null;
    /** @type {Mask | null} */
    this.mask = null;
    /** @type {Mask | null} */
    this.filled = null;
    /** @type {Drawn | null} What is being drawn. */
    this.live = null;
    this.showMask = true;
    this.dimFilled = true;
    /** Whether what guides the fill is being drawn. */
    this.guiding = false;
    /** @type {Record<import('./types.js').Layer, Mask> | null} */
    this.layers = null;
    /** Which part of the original is shown: none, all, or what lies left of a share of the photo. */
    this.original = 0;
    this.onchange = () => {};
    this.waiting = { photo: false, over: false, frame: 0 };
    const observer = new ResizeObserver((entries) => this.resized(entries[0]));
    try {
      observer.observe(stage, { box: 'device-pixel-content-box' });
    } catch {
      observer.observe(stage); // Safari knows no such box
    }
  }

  /** Screen pixels in a CSS pixel. */
  get ratio() {
    return this.photo.width / Math.max(1, this.stage.clientWidth);
  }

  /** Where the photo begins: a whole pixel, so that 100 % is exact; small moves still add up. */
  get x() {
    return Math.round(this.left);
  }

  get y() {
    return Math.round(this.top);
  }

  get width() {
    return this.state?.base.image.width ?? 1;
  }

  get height() {
    return this.state?.base.image.height ?? 1;
  }

  /** @param {ResizeObserverEntry} entry */
  resized(entry) {
    const exact = entry.devicePixelContentBoxSize?.[0];
    const { devicePixelRatio } = window;
    const size = (/** @type {number} */ css, /** @type {number | undefined} */ pixels) => {
      const about = Math.round(css * devicePixelRatio);
      // Only the browser knows how it rounds; one that is far off is pretending to be a phone.
      return pixels !== undefined && Math.abs(pixels - about) <= 2 ? pixels : about;
    };
    const width = size(entry.contentRect.width, exact?.inlineSize);
    const height = size(entry.contentRect.height, exact?.blockSize);
    for (const canvas of [this.photo, this.over, this.guide]) {
      canvas.width = width;
      canvas.height = height;
    }
    if (this.fitted) this.fit();
    // Setting a canvas's size empties it: without a frame of its own it would be seen empty.
    this.draw(true, true);
  }

  /** @param {State} state */
  open(state) {
    this.state = null;
    this.mask = new Mask(state.base.image.width, state.base.image.height);
    this.filled = null;
    const layer = (/** @type {string | null} */ colour) =>
      new Mask(state.base.image.width, state.base.image.height, SKETCH_PIXELS, colour);
    this.layers = { lines: layer(LINE), colours: layer(null) };
    this.show(state);
    this.fit();
  }

  /** @param {State} state */
  show(state) {
    this.state = state;
    this.mask?.show(state.ops);
    this.layers?.lines.show(state.lines);
    this.layers?.colours.show(state.colours);
    if (state.patch) {
      this.filled ??= new Mask(this.width, this.height, DIM_PIXELS);
      this.filled.show(state.patch.drawing.ops);
    }
    this.invalidate(true);
  }

  fit() {
    const room = (/** @type {number} */ side) => Math.max(side - 2 * MARGIN * this.ratio, side / 2);
    const least = Math.min(room(this.photo.width) / this.width, room(this.photo.height) / this.height);
    // A photo smaller than the window is shown at a whole factor: its pixels stay even.
    this.scale = least >= 1 ? Math.min(Math.floor(least), 4) : least;
    this.left = (this.photo.width - this.width * this.scale) / 2;
    this.top = (this.photo.height - this.height * this.scale) / 2;
    this.fitted = true;
    this.invalidate(true);
    this.onchange();
  }

  /**
   * @param {number} scale screen pixels in a pixel of the photo
   * @param {number} [x] what stays where it is, on the screen; by default the middle
   * @param {number} [y]
   */
  zoom(scale, x = this.photo.width / 2, y = this.photo.height / 2) {
    const least = Math.min(0.02, this.photo.width / this.width / 4);
    const bounded = Math.min(LARGEST, Math.max(least, scale));
    const factor = bounded / this.scale;
    this.scale = bounded;
    this.move((x - this.left) * (1 - factor), (y - this.top) * (1 - factor));
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  move(x, y) {
    // Something of the photo stays in sight.
    const keep = 64;
    const { width, height } = this.photo;
    const low = (/** @type {number} */ side) => Math.min(keep, side) - side;
    const across = this.width * this.scale;
    const down = this.height * this.scale;
    this.left = Math.min(width - keep, Math.max(low(across), this.left + x));
    this.top = Math.min(height - keep, Math.max(low(down), this.top + y));
    this.fitted = false;
    this.invalidate(true);
    this.onchange();
  }

  /**
   * The place in the photo under a pointer.
   *
   * @param {{clientX: number, clientY: number}} event
   * @returns {[number, number]}
   */
  place(event) {
    const [x, y] = this.screen(event);
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /**
   * The place on the canvas under a pointer.
   *
   * @param {{clientX: number, clientY: number}} event
   * @returns {[number, number]}
   */
  screen(event) {
    const box = this.photo.getBoundingClientRect();
    const ratio = this.photo.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  }

  /** @param {boolean} all also the photo, not the mask alone */
  invalidate(all) {
    this.waiting.photo ||= all;
    this.waiting.over = true;
    this.waiting.frame ||= requestAnimationFrame(() => {
      const { photo, over } = this.waiting;
      this.waiting = { photo: false, over: false, frame: 0 };
      this.draw(photo, over);
    });
  }

  /**
   * @param {boolean} photo
   * @param {boolean} over
   */
  draw(photo, over) {
    if (photo) this.drawPhoto();
    if (!over) return;
    this.drawOver();
    this.drawGuide();
  }

  drawPhoto() {
    const context = this.photo.getContext('2d');
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.photo.width, this.photo.height);
    if (!this.state) return;
    const { base, patch } = this.state;
    const { image } = base;
    context.setTransform(this.scale, 0, 0, this.scale, this.x, this.y);
    context.imageSmoothingEnabled = this.scale < SQUARES;
    context.imageSmoothingQuality = 'medium';
    const enough = this.scale * image.width <= image.small.width;
    context.drawImage(enough ? image.small : image.whole, 0, 0, image.width, image.height);
    if (!patch || this.original >= 1) return;
    context.save();
    if (this.original > 0) {
      context.beginPath();
      const left = this.original * image.width;
      context.rect(left, 0, image.width - left, image.height);
      context.clip();
    }
    context.drawImage(patch.image, patch.left, patch.top);
    context.restore();
  }

  drawOver() {
    const context = this.over.getContext('2d');
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.over.width, this.over.height);
    const { state, mask } = this;
    if (!state || !mask || !this.showMask || this.original > 0) return;
    const { live } = this;
    const mine = live && !('layer' in live && live.layer) ? live : null;
    const pending = state.ops !== state.patch?.drawing.ops;
    if (!pending && !mine && this.dimFilled) return;
    context.save();
    this.clipToPhoto(context);
    context.imageSmoothingEnabled = this.scale < SQUARES;
    context.drawImage(mask.canvas, 0, 0, this.width, this.height);
    if (state.patch && this.filled && this.dimFilled) {
      // What is filled already is dimmed, so that the result is seen and the new part stands out.
      context.globalAlpha = DIM;
      context.globalCompositeOperation = 'destination-out';
      context.drawImage(this.filled.canvas, 0, 0, this.width, this.height);
      context.globalAlpha = 1;
      context.globalCompositeOperation = 'source-over';
    }
    if (mine) paint(context, mine, this.scale);
    context.restore();
  }

  /** The sketch and the strokes of colour: while they are drawn, and until a fill has followed them. */
  drawGuide() {
    const context = this.guide.getContext('2d');
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.guide.width, this.guide.height);
    const { state, layers, live } = this;
    if (!state || !layers || !this.showMask || this.original > 0) return;
    const done = state.patch?.drawing;
    const pending = state.lines !== (done?.lines ?? state.lines) || state.colours !== (done?.colours ?? state.colours);
    if (!this.guiding && !pending && done) return;
    context.save();
    this.clipToPhoto(context);
    for (const name of /** @type {const} */ (['colours', 'lines'])) {
      context.drawImage(layers[name].canvas, 0, 0, this.width, this.height);
    }
    if (live && 'layer' in live && live.layer) paint(context, live, this.scale);
    context.restore();
  }

  /**
   * Have places in the photo taken, and nothing painted beside it.
   *
   * @param {CanvasRenderingContext2D} context
   */
  clipToPhoto(context) {
    context.setTransform(this.scale, 0, 0, this.scale, this.x, this.y);
    context.beginPath();
    context.rect(0, 0, this.width, this.height);
    context.clip();
  }
}
