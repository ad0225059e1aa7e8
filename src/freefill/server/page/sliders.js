// @ts-check
/** Size and hardness of the brush. */

import { el } from './elements.js';
import { SIZES } from './tools.js';

/** @typedef {import('./tools.js').Tools} Tools */

const STEPS = 100;
/** Of the photo's longer side. */
const USUAL = 0.04;
const HARDER = 0.1;

export class Sliders {
  /** @param {Tools} tools */
  constructor(tools) {
    this.tools = tools;
    this.most = SIZES.most;
    this.size = el('brush-size', HTMLInputElement);
    this.hardness = el('hardness', HTMLInputElement);
    this.size.addEventListener('input', () => this.setSize(this.sizeAt(this.size.valueAsNumber)));
    this.hardness.addEventListener('input', () => this.setHardness(this.hardness.valueAsNumber / 100));
  }

  /**
   * Give the slider's places: even steps look even, from one pixel to the largest.
   *
   * @param {number} place
   */
  sizeAt(place) {
    return Math.max(SIZES.least, Math.round(SIZES.least * (this.most / SIZES.least) ** (place / STEPS)));
  }

  /** @param {number} longest side of the photo that was opened */
  fitTo(longest) {
    this.most = Math.max(50, Math.round(longest / 3));
    this.setSize(Math.max(8, Math.round(longest * USUAL)));
  }

  /** @param {1 | -1} way */
  step(way) {
    const { size } = this.tools;
    const next = Math.round(size * (1 + 0.15 * way));
    this.setSize(way > 0 ? Math.max(size + 1, next) : Math.min(size - 1, next));
  }

  /** @param {1 | -1} way */
  harden(way) {
    this.setHardness(this.tools.hardness + HARDER * way);
  }

  /** @param {number} size in pixels of the photo */
  setSize(size) {
    this.tools.size = Math.min(this.most, Math.max(SIZES.least, size));
    this.update();
  }

  /** @param {number} hardness in [0, 1] */
  setHardness(hardness) {
    this.tools.hardness = Math.round(100 * Math.min(1, Math.max(0, hardness))) / 100;
    this.update();
  }

  update() {
    const { size, hardness, brushes } = this.tools;
    const place = (STEPS * Math.log(size / SIZES.least)) / Math.log(this.most / SIZES.least);
    // Not while it is being dragged: rounding would fight with the hand.
    if (this.sizeAt(this.size.valueAsNumber) !== size) this.size.value = String(place);
    this.size.setAttribute('aria-valuetext', `${size} pixels`);
    el('size-value', HTMLElement).textContent = `${size} px`;
    this.hardness.value = String(Math.round(100 * hardness));
    el('hardness-value', HTMLElement).textContent = `${Math.round(100 * hardness)} %`;
    el('brush-options', HTMLFieldSetElement).disabled = !brushes;
    if (!this.tools.ring.hidden) this.tools.showRing();
  }
}
