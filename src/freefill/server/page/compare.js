// @ts-check
/** Before and after: the original while a button is held, or left of a line that can be moved. */

/** @typedef {import('./view.js').View} View */

const STEP = 0.02;

export class Compare {
  /**
   * @param {View} view
   * @param {HTMLElement} line
   */
  constructor(view, line) {
    this.view = view;
    this.line = line;
    this.share = 0.5;
    this.split = false;
    this.held = false;
    line.addEventListener('pointerdown', (event) => {
      event.stopPropagation();
      line.setPointerCapture(event.pointerId);
    });
    line.addEventListener('pointermove', (event) => {
      event.stopPropagation();
      if (line.hasPointerCapture(event.pointerId)) this.moveTo(view.place(event)[0] / view.width);
    });
    line.addEventListener('keydown', (event) => {
      const steps = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, Home: -1, End: 1 };
      const step = steps[/** @type {keyof typeof steps} */ (event.key)];
      if (!step) return;
      event.preventDefault();
      this.moveTo(this.share + step);
    });
  }

  /** @param {boolean} held */
  hold(held) {
    this.held = held;
    this.update();
  }

  /** @param {boolean} split */
  setSplit(split) {
    this.split = split;
    this.update();
  }

  /** @param {number} share of the photo's width */
  moveTo(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.update();
  }

  update() {
    const { view, line } = this;
    // All of the original is more than a line at its right edge: the mask is hidden, too.
    view.original = this.held ? 1 : this.split ? Math.max(this.share, 1e-6) : 0;
    view.invalidate(true);
    this.place();
    line.setAttribute('aria-valuenow', String(Math.round(100 * this.share)));
  }

  /** Put the line where the share lies in the view. */
  place() {
    const { view, line } = this;
    line.hidden = !this.split || this.held || !view.state?.patch;
    const x = (view.x + this.share * view.width * view.scale) / view.ratio;
    line.style.transform = `translateX(${x}px)`;
  }
}
