// @ts-check
/**
 * Masks: the list of what was drawn, painted onto a canvas of the photo's size.
 *
 * The canvas holds coverage in its alpha, in the colour in which a mask is shown. Undo paints the
 * shorter list anew: strokes are quick to paint, and copies of a photo-sized canvas are not small.
 */

/** @typedef {import('./types.js').Op} Op */
/** @typedef {import('./types.js').Stroke} Stroke */

export const COLOUR = '#ff2d6f';
/** Of a sketch's lines. */
export const LINE = '#00b7ff';
/** The same as a pixel of four bytes: red comes first in memory. */
const PACKED = 0xff6f2dff;

/** Pixels of the largest sketch, whose lines count by their middle: more would only take longer. */
export const SKETCH_PIXELS = 6e6;
/** Pixels of the largest mask; a larger photo gets a mask of this size, stretched by the server. */
export const MOST_PIXELS = 32e6;

export class Mask {
  /**
   * @param {number} width of the photo
   * @param {number} height
   * @param {number} most pixels of the canvas
   */
  constructor(width, height, most = MOST_PIXELS) {
    const scale = Math.min(1, Math.sqrt(most / (width * height)));
    this.photoWidth = width;
    this.photoHeight = height;
    this.canvas = document.createElement('canvas');
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    /** @type {readonly Op[]} */
    this.ops = [];
  }

  /** Whether a pixel of the mask is a pixel of the photo. */
  get exact() {
    return this.canvas.width === this.photoWidth && this.canvas.height === this.photoHeight;
  }

  get context() {
    const context = this.canvas.getContext('2d');
    if (!context) throw new Error('the browser has no room for a mask of this size');
    return context;
  }

  /** @param {readonly Op[]} ops */
  show(ops) {
    if (ops === this.ops) return;
    const context = this.context;
    const kept = this.ops.every((op, i) => op === ops[i]) ? this.ops.length : 0;
    if (kept === 0) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    }
    const x = this.canvas.width / this.photoWidth;
    context.setTransform(x, 0, 0, this.canvas.height / this.photoHeight, 0, 0);
    for (const op of ops.slice(kept)) paint(context, op, x, this.photoWidth, this.photoHeight);
    this.ops = ops;
  }
}

/**
 * Paint one step.
 *
 * @param {CanvasRenderingContext2D} context whose transform takes places in the photo
 * @param {Op} op
 * @param {number} scale canvas pixels in a pixel of the photo
 * @param {number} width of the photo
 * @param {number} height
 */
export function paint(context, op, scale, width, height) {
  context.save();
  context.fillStyle = context.strokeStyle = ('colour' in op && op.colour) || COLOUR;
  if ('erase' in op && op.erase) context.globalCompositeOperation = 'destination-out';
  if (op.kind === 'stroke') paintStroke(context, op, scale);
  else if (op.kind === 'box') {
    const [left, top, right, bottom] = corners(op.points);
    context.fillRect(left, top, right - left, bottom - top);
  } else if (op.kind === 'lasso') {
    context.beginPath();
    for (let i = 0; i < op.points.length; i += 2) context.lineTo(op.points[i], op.points[i + 1]);
    context.fill();
  } else if (op.kind === 'bitmap') {
    if (op.replace) context.clearRect(0, 0, width, height);
    // A pixel is inside the mask or it is not: enlarging must not soften that.
    context.imageSmoothingEnabled = op.soft;
    context.drawImage(op.image, op.left, op.top, op.width, op.height);
  } else if (op.kind === 'invert') {
    context.globalCompositeOperation = 'xor';
    context.fillRect(0, 0, width, height);
  } else context.clearRect(0, 0, width, height);
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
  const { points, size, hardness } = stroke;
  if (hardness < 1) {
    // The shadow of a line beyond the canvas is a blurred line, in every browser. It has half its
    // strength where a brush of half the softness would end, and all of it in the middle.
    const far = 2 * context.canvas.width + 4 * size * scale;
    context.shadowColor = COLOUR;
    context.shadowBlur = (size * (1 - hardness) * scale) / 6;
    context.shadowOffsetX = far;
    context.translate(-far / scale, 0);
  }
  context.lineWidth = (size * (1 + hardness)) / 2;
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
  return ops.some((op) => (op.kind === 'stroke' && op.hardness < 1) || (op.kind === 'bitmap' && op.soft));
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
  const { width, height } = mask.canvas;
  const reach = Math.round((radius * width) / mask.photoWidth);
  const { data } = mask.context.getImageData(0, 0, width, height);
  const rows = distances(data, width, height, reach);
  const out = new ImageData(width, height);
  const packed = new Uint32Array(out.data.buffer);
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
      if (inside) packed[y * width + x] = PACKED;
    }
  }
  const image = document.createElement('canvas');
  image.width = width;
  image.height = height;
  image.getContext('2d')?.putImageData(out, 0, 0);
  const whole = { left: 0, top: 0, width: mask.photoWidth, height: mask.photoHeight };
  return { kind: 'bitmap', image, ...whole, replace: true, soft: false };
}

/**
 * How far each pixel is from the nearest one of its column that is more than half covered.
 *
 * @param {Uint8ClampedArray} data RGBA
 * @param {number} width
 * @param {number} height
 * @param {number} most distances beyond are not told apart
 */
function distances(data, width, height, most) {
  const found = new Uint16Array(width * height);
  for (let x = 0; x < width; x += 1) {
    let away = most + 1;
    for (let y = 0; y < height; y += 1) {
      const i = y * width + x;
      away = data[4 * i + 3] > 127 ? 0 : Math.min(away + 1, most + 1);
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

/**
 * Make a mask file a step: what is more than half bright is added, as the server would read it.
 *
 * @param {Blob} file
 * @param {number} width of the photo
 * @param {number} height
 * @returns {Promise<{op: import('./types.js').Bitmap, width: number, height: number}>} with the
 *   file's own size
 */
export async function readMask(file, width, height) {
  const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const image = document.createElement('canvas');
  image.width = picture.width;
  image.height = picture.height;
  const context = image.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('the browser has no room for a mask of this size');
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height);
  const { data } = pixels;
  const packed = new Uint32Array(data.buffer);
  for (let i = 0; i < data.length; i += 4) {
    const light = (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]) * (data[i + 3] / 255);
    packed[i / 4] = light > 127.5 ? PACKED : 0;
  }
  context.putImageData(pixels, 0, 0);
  const op = /** @type {const} */ ({
    kind: 'bitmap', image, left: 0, top: 0, width, height, replace: false, soft: false,
  });
  return { op, width: picture.width, height: picture.height };
}
