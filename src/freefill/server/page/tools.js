// @ts-check
/** From the hand to steps of a mask: mouse, pen and fingers on the stage. */

import { LINE } from './mask.js';

/** @typedef {import('./types.js').Drawn} Drawn */
/** @typedef {import('./types.js').Tool} Tool */
/** @typedef {import('./view.js').View} View */

const HARD = /** @type {const} */ ({ kind: 'stroke', hardness: 1 });
export const SIZES = { least: 1, most: 1000 };
/** A finger or hand that moves less has not drawn a box or a lasso, in screen pixels. */
const STILL = 3;
/** Widths of a sketch's line, and of what takes it away, in CSS pixels. */
const PENCIL = { line: 2.5, erase: 20 };

export class Tools {
  /**
   * @param {View} view
   * @param {HTMLElement} ring shows the brush
   * @param {(op: Drawn) => void} done takes what was drawn
   */
  constructor(view, ring, done) {
    this.view = view;
    this.ring = ring;
    this.done = done;
    /** @type {Tool} */
    this.tool = 'brush';
    this.size = 40;
    this.hardness = 1;
    /** Of strokes of colour. */
    this.colour = '#4f8a3c';
    this.enabled = false;
    /**
     * Called with the place of a thing, and whether it is to be taken away.
     *
     * @type {(x: number, y: number, erase: boolean) => Promise<boolean>} whether there was one
     */
    this.pick = async () => false;
    /** Counted up with each pick. */
    this.picks = 0;
    /** @type {[number, number, boolean] | null} */
    this.pointed = null;
    /** Whether a thing was picked and the cursor has not been moved to another since. */
    this.settled = false;
    /** Whether Space is held. */
    this.space = false;
    /** @type {Map<number, PointerEvent>} */
    this.pointers = new Map();
    /** @type {'draw' | 'pan' | 'pinch' | null} */
    this.gesture = null;
    /** @type {[number, number]} */
    this.cursor = [0, 0];
    const { stage } = view;
    stage.addEventListener('pointerdown', (event) => this.down(event));
    stage.addEventListener('pointermove', (event) => this.moved(event));
    stage.addEventListener('pointerup', (event) => this.up(event));
    stage.addEventListener('pointercancel', (event) => this.up(event, true));
    stage.addEventListener('pointerleave', () => this.hideRing());
    stage.addEventListener('contextmenu', (event) => event.preventDefault());
    stage.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
  }

  /** @param {Tool} tool */
  choose(tool) {
    this.cancel();
    this.tool = tool;
    this.view.dimFilled = tool !== 'eraser';
    this.view.guiding = tool === 'pencil' || tool === 'paint';
    this.view.invalidate(false);
    this.tellCursor();
  }

  get brushes() {
    return this.tool === 'brush' || this.tool === 'eraser' || this.tool === 'paint';
  }

  /**
   * Begin at a place of the photo.
   *
   * @param {number} x
   * @param {number} y
   * @param {boolean} erase take away, whatever the tool
   */
  begin(x, y, erase) {
    const { tool, size, hardness } = this;
    const points = [x, y];
    const away = erase || tool === 'eraser';
    if (tool === 'pick') {
      this.pointed = [x, y, erase];
      return;
    }
    if (tool === 'pencil') {
      const width = ((away ? PENCIL.erase : PENCIL.line) * this.view.ratio) / this.view.scale;
      // On a small photo a line of the screen would be thinner than a pixel.
      this.view.live = { ...HARD, layer: 'lines', erase: away, size: Math.max(2, width), points, colour: LINE };
    } else if (tool === 'paint') {
      this.view.live = { ...HARD, layer: 'colours', erase: away, size, points, colour: this.colour };
    } else if (this.brushes) this.view.live = { kind: 'stroke', erase: away, size, hardness, points };
    else this.view.live = { kind: tool === 'box' ? 'box' : 'lasso', erase: away, points: [...points, x, y] };
    this.view.invalidate(false);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  extend(x, y) {
    const { live } = this.view;
    if (!live) return;
    // A box has two corners, of which the second moves.
    if (live.kind === 'box') live.points.splice(2, 2, x, y);
    else live.points.push(x, y);
    this.view.invalidate(false);
  }

  finish() {
    const { live } = this.view;
    if (this.pointed) {
      const [x, y, erase] = this.pointed;
      this.pointed = null;
      this.settled = true;
      const { width, height } = this.view;
      if (x >= 0 && y >= 0 && x < width && y < height) void this.pickAt(x, y, erase);
      return;
    }
    this.view.live = null;
    if (live && (live.kind === 'stroke' || this.extent(live.points) * this.view.scale > STILL)) {
      this.done(live);
    }
    this.view.invalidate(false);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {boolean} erase
   */
  async pickAt(x, y, erase) {
    const pick = (this.picks += 1);
    const found = await this.pick(x, y, erase);
    // Where the last one found nothing, the same place may be tried again.
    if (!found && pick === this.picks) this.settled = false;
  }

  cancel() {
    this.pointed = null;
    if (!this.view.live) return false;
    this.view.live = null;
    this.gesture = null;
    this.view.invalidate(false);
    return true;
  }

  /** @param {number[]} points */
  extent(points) {
    const across = points.filter((_, i) => i % 2 === 0);
    const down = points.filter((_, i) => i % 2 === 1);
    const spread = (/** @type {number[]} */ list) =>
      list.reduce((a, b) => Math.max(a, b)) - list.reduce((a, b) => Math.min(a, b));
    return Math.max(spread(across), spread(down));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (!this.enabled || event.target instanceof HTMLButtonElement) return;
    this.view.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (event.pointerType === 'touch' && this.pointers.size === 2) {
      // A second finger: it was no stroke that began.
      this.cancel();
      this.gesture = 'pinch';
    } else if (this.space || this.tool === 'hand' || event.button === 1) {
      event.preventDefault();
      this.gesture = 'pan';
    } else if (event.button === 0 && !this.gesture) {
      this.gesture = 'draw';
      this.begin(...this.view.place(event), event.altKey);
    }
    this.tellCursor();
  }

  /** @param {PointerEvent} event */
  moved(event) {
    if (!this.enabled) return;
    this.cursor = this.view.place(event);
    if (event.pointerType !== 'touch') this.showRing();
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.gesture === 'draw') {
      const parts = event.getCoalescedEvents?.() ?? [];
      for (const part of parts.length ? parts : [event]) this.extend(...this.view.place(part));
    } else if (this.gesture === 'pan') {
      const [x0, y0] = this.view.screen(before);
      const [x1, y1] = this.view.screen(event);
      this.view.move(x1 - x0, y1 - y0);
    } else if (this.gesture === 'pinch') this.pinch(event, before);
    this.pointers.set(event.pointerId, event);
  }

  /**
   * @param {PointerEvent} event
   * @param {PointerEvent} before
   */
  pinch(event, before) {
    const other = [...this.pointers.values()].find((p) => p.pointerId !== event.pointerId);
    if (!other) return;
    const [ox, oy] = this.view.screen(other);
    const [x0, y0] = this.view.screen(before);
    const [x1, y1] = this.view.screen(event);
    this.view.move((x1 - x0) / 2, (y1 - y0) / 2);
    const factor = Math.hypot(x1 - ox, y1 - oy) / Math.max(1, Math.hypot(x0 - ox, y0 - oy));
    this.view.zoom(this.view.scale * factor, (x1 + ox) / 2, (y1 + oy) / 2);
  }

  /**
   * @param {PointerEvent} event
   * @param {boolean} [lost] the browser took the pointer away
   */
  up(event, lost = false) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.gesture === 'draw') {
      if (lost) this.cancel();
      else this.finish();
    }
    // The finger that stays after a pinch does not begin to draw.
    if (this.pointers.size === 0) this.gesture = null;
    this.tellCursor();
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!this.enabled) return;
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const { ratio } = this.view;
    // A trackpad pinches with Ctrl and pans with two fingers; a wheel turns in whole notches.
    const notched = event.deltaX === 0 && Math.abs(event.deltaY * unit) >= 50;
    if (event.ctrlKey || event.metaKey || (notched && !event.shiftKey)) {
      const speed = event.ctrlKey && !notched ? 0.01 : 0.0015;
      const factor = Math.exp(-event.deltaY * unit * speed);
      this.view.zoom(this.view.scale * factor, ...this.view.screen(event));
    } else {
      const sideways = event.shiftKey && !event.deltaX;
      const [x, y] = sideways ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
      this.view.move(-x * unit * ratio, -y * unit * ratio);
    }
    this.cursor = this.view.place(event);
    this.showRing();
  }

  tellCursor() {
    const { style } = this.view.stage;
    if (!this.enabled) style.cursor = '';
    else if (this.gesture === 'pan') style.cursor = 'grabbing';
    else if (this.space || this.tool === 'hand') style.cursor = 'grab';
    // Under the ring a cross: a small brush is hard to find without.
    else style.cursor = 'crosshair';
    if (!this.brushes || this.space) this.hideRing();
  }

  /** Draw the brush's outline around the cursor. */
  showRing() {
    const drawing = this.brushes && !this.space && this.gesture !== 'pan' && this.gesture !== 'pinch';
    this.ring.hidden = !drawing;
    if (!drawing) return;
    const across = (this.size * this.view.scale) / this.view.ratio;
    const x = (this.view.x + this.cursor[0] * this.view.scale) / this.view.ratio;
    const y = (this.view.y + this.cursor[1] * this.view.scale) / this.view.ratio;
    this.ring.style.width = this.ring.style.height = `${across}px`;
    this.ring.style.transform = `translate(${x - across / 2}px, ${y - across / 2}px)`;
  }

  hideRing() {
    this.ring.hidden = true;
  }
}
