// @ts-check
/**
 * Masks: the list of what was drawn, drawn into a plain array of the photo's size.
 *
 * A canvas only shows it. Undo draws the shorter list anew: strokes are quick to draw, and copies
 * of a photo-sized array are not small.
 */

import { NOWHERE, Raster } from './raster.js';

/** @typedef {import('./types.js').Op} Op */
/** @typedef {import('./types.js').Stroke} Stroke */

export const COLOUR = '#ff2d6f';
/** Of a sketch's lines. */
export const LINE = '#00b7ff';

/** Pixels of the largest sketch, whose lines count by their middle: more would only take longer. */
export const SKETCH_PIXELS = 6e6;
/** Pixels of the largest mask; a larger photo gets a mask of this size, stretched by the server. */
export const MOST_PIXELS = 32e6;
/** Rows that are brought to the canvas at once. */
const ROWS = 256;

export class Mask {
  /**
   * @param {number} width of the photo
   * @param {number} height
   * @param {number} [most] pixels of the mask
   * @param {string | null} [colour] in which it is shown; null: strokes have colours of their own
   */
  constructor(width, height, most = MOST_PIXELS, colour = COLOUR) {
    const scale = Math.min(1, Math.sqrt(most / (width * height)));
    const side = (/** @type {number} */ length) => Math.max(1, Math.round(length * scale));
    this.photoWidth = width;
    this.photoHeight = height;
    this.colour = colour;
    this.raster = new Raster(side(width), side(height), colour === null);
    /** @type {HTMLCanvasElement | null} */
    this.shown = null;
    /** @type {readonly Op[]} */
    this.ops = [];
  }

  /** Whether a pixel of the mask is a pixel of the photo. */
  get exact() {
    return this.raster.width === this.photoWidth && this.raster.height === this.photoHeight;
  }

  /** @param {readonly Op[]} ops */
  show(ops) {
    if (ops === this.ops) return;
    const kept = this.ops.every((op, i) => op === ops[i]) ? this.ops.length : 0;
    if (kept === 0) this.raster.clear();
    for (const op of ops.slice(kept)) this.draw(op);
    this.ops = ops;
  }

  /** @param {Op} op */
  draw(op) {
    const { raster } = this;
    if (op.kind === 'clear') raster.clear();
    else if (op.kind === 'invert') raster.invert();
    else if (op.kind === 'bitmap') {
      if (op.replace) raster.clear();
      raster.stretch(op.image, op.erase ?? false);
    } else {
      const [x, y] = [raster.width / this.photoWidth, raster.height / this.photoHeight];
      const scaled = (/** @type {number[]} */ points) => points.map((at, i) => at * (i % 2 ? y : x));
      if (op.kind === 'stroke') {
        const { radius, blur } = brush(op);
        const colour = this.colour === null ? rgb(op.colour ?? COLOUR) : null;
        raster.stroke(scaled(op.points), radius * x, blur * x, op.erase, colour);
      } else if (op.kind === 'lasso') raster.polygon(scaled(op.points), op.erase);
      else {
        const [left, top, right, bottom] = corners(op.points);
        raster.polygon(scaled([left, top, right, top, right, bottom, left, bottom]), op.erase);
      }
    }
  }

  /** What a screen shows of it; nothing is ever read from there. */
  get canvas() {
    const { raster } = this;
    if (!this.shown) {
      this.shown = document.createElement('canvas');
      this.shown.width = raster.width;
      this.shown.height = raster.height;
    }
    const [left, top, right, bottom] = raster.changed;
    raster.changed = NOWHERE;
    const width = right - left;
    const context = this.shown.getContext('2d');
    if (!context) throw new Error('the browser has no room for a mask of this size');
    const { cover, colours } = raster;
    const [red, green, blue] = rgb(this.colour ?? COLOUR);
    // Four bytes as one number: red comes first in memory.
    const one = red | (green << 8) | (blue << 16);
    for (let first = top; width > 0 && first < bottom; first += ROWS) {
      const part = new ImageData(width, Math.min(ROWS, bottom - first));
      const packed = new Uint32Array(part.data.buffer);
      for (let i = 0, y = first; y < first + part.height; y += 1) {
        for (let at = y * raster.width + left, end = at + width; at < end; at += 1, i += 1) {
          if (!cover[at]) continue;
          const own = colours ? colours[3 * at] | (colours[3 * at + 1] << 8) | (colours[3 * at + 2] << 16) : one;
          packed[i] = own | (cover[at] << 24);
        }
      }
      context.putImageData(part, left, first);
    }
    return this.shown;
  }
}

/** @param {string} colour as '#rrggbb' */
function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/**
 * A soft brush covers half where one of half the softness would end.
 *
 * @param {Stroke} stroke
 */
function brush({ size, hardness }) {
  return { radius: (size * (1 + hardness)) / 4, blur: (size * (1 - hardness)) / 12 };
}

/**
 * Paint what is being drawn onto a screen's canvas.
 *
 * @param {CanvasRenderingContext2D} context whose transform takes places in the photo
 * @param {import('./types.js').Drawn} op
 * @param {number} scale canvas pixels in a pixel of the photo
 */
export function paint(context, op, scale) {
  context.save();
  context.fillStyle = context.strokeStyle = ('colour' in op && op.colour) || COLOUR;
  if (op.erase) context.globalCompositeOperation = 'destination-out';
  if (op.kind === 'stroke') paintStroke(context, op, scale);
  else if (op.kind === 'box') {
    const [left, top, right, bottom] = corners(op.points);
    context.fillRect(left, top, right - left, bottom - top);
  } else {
    context.beginPath();
    for (let i = 0; i < op.points.length; i += 2) context.lineTo(op.points[i], op.points[i + 1]);
    context.fill();
  }
  context.restore();
}

/**
 * The whole pixels that a box covers: left, top, right, bottom.
 *
 * @param {number[]} points two opposite corners
 */
export function corners([x0, y0, x1, y1]) {
  return [
    Math.floor(Math.min(x0, x1)),
    Math.floor(Math.min(y0, y1)),
    Math.ceil(Math.max(x0, x1)),
    Math.ceil(Math.max(y0, y1)),
  ];
}

/**
 * One path for the whole stroke: where it crosses itself, a soft edge stays what it is.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {number} scale
 */
function paintStroke(context, stroke, scale) {
  const { points, size } = stroke;
  const { radius, blur } = brush(stroke);
  if (blur) {
    // The shadow of a line beyond the canvas is a blurred line, in every browser.
    const far = 2 * context.canvas.width + 4 * size * scale;
    context.shadowColor = COLOUR;
    context.shadowBlur = 2 * blur * scale;
    context.shadowOffsetX = far;
    context.translate(-far / scale, 0);
  }
  context.lineWidth = 2 * radius;
  context.lineCap = context.lineJoin = 'round';
  context.beginPath();
  context.moveTo(points[0], points[1]);
  // Through the middles between points: a quick hand leaves corners otherwise.
  for (let i = 2; i + 3 < points.length; i += 2) {
    const [x, y] = [points[i], points[i + 1]];
    context.quadraticCurveTo(x, y, (x + points[i + 2]) / 2, (y + points[i + 3]) / 2);
  }
  context.lineTo(points[points.length - 2], points[points.length - 1]);
  context.stroke();
}

/**
 * Whether some edge of a mask is soft on purpose.
 *
 * @param {readonly Op[]} ops
 */
export function isSoft(ops) {
  return ops.some((op) => op.kind === 'stroke' && op.hardness < 1);
}

/**
 * Whether a list of steps surely marks nothing; the server finds the other empty masks.
 *
 * @param {readonly Op[]} ops
 */
export function isBlank(ops) {
  const last = ops.findLastIndex((op) => op.kind === 'clear' || (op.kind === 'bitmap' && op.replace));
  const rest = ops.slice(ops[last]?.kind === 'clear' ? last + 1 : Math.max(last, 0));
  return rest.every((op) => 'erase' in op && op.erase);
}

/**
 * Make the step that widens a mask by a disc.
 *
 * @param {Mask} mask
 * @param {number} radius in pixels of the photo
 * @returns {import('./types.js').Bitmap}
 */
export function grown(mask, radius) {
  const { width, height } = mask.raster;
  const reach = Math.round((radius * width) / mask.photoWidth);
  const rows = distances(mask.raster.cover, width, height, reach);
  const cover = new Uint8Array(width * height);
  const steps = new Int32Array(width + 1);
  for (let y = 0; y < height; y += 1) {
    steps.fill(0);
    for (let x = 0; x < width; x += 1) {
      const away = rows[y * width + x];
      if (away > reach) continue;
      // In this row a disc around the nearest pixel of the column reaches so far.
      const side = Math.floor(Math.sqrt(reach * reach - away * away));
      steps[Math.max(0, x - side)] += 1;
      steps[Math.min(width, x + side + 1)] -= 1;
    }
    for (let x = 0, inside = 0; x < width; x += 1) {
      inside += steps[x];
      if (inside) cover[y * width + x] = 255;
    }
  }
  return { kind: 'bitmap', image: { width, height, cover }, replace: true };
}

/**
 * How far each pixel is from the nearest one of its column that is more than half covered.
 *
 * @param {Uint8Array} cover
 * @param {number} width
 * @param {number} height
 * @param {number} most distances beyond are not told apart
 */
function distances(cover, width, height, most) {
  const found = new Uint16Array(width * height);
  for (let x = 0; x < width; x += 1) {
    let away = most + 1;
    for (let y = 0; y < height; y += 1) {
      const i = y * width + x;
      away = cover[i] > 127 ? 0 : Math.min(away + 1, most + 1);
      found[i] = away;
    }
    away = most + 1;
    for (let y = height - 1; y >= 0; y -= 1) {
      const i = y * width + x;
      away = found[i] === 0 ? 0 : Math.min(away + 1, most + 1);
      found[i] = Math.min(found[i], away);
    }
  }
  return found;
}
