// @ts-check
/**
 * Drawing into plain arrays: how much of each pixel is covered, 0 to 255.
 *
 * What goes to the server is never read back from a canvas. Browsers that guard against being told
 * apart (Firefox's resistFingerprinting, Brave) answer that with noise, which would be filled.
 */

/** Shares of a pixel along a soft edge that are told apart. */
const STEPS = 1024;
/** Standard deviations of a soft edge beyond which nothing of it is left. */
const FAR = 3.5;

export class Raster {
  /**
   * @param {number} width
   * @param {number} height
   * @param {boolean} coloured whether each pixel has a colour of its own
   */
  constructor(width, height, coloured) {
    this.width = width;
    this.height = height;
    this.cover = new Uint8Array(width * height);
    /** Red, green, blue. */
    this.colours = coloured ? new Uint8Array(3 * width * height) : null;
    /** @type {Area} What may be covered. */
    this.used = NOWHERE;
    /** @type {Area} What has changed since somebody looked. */
    this.changed = NOWHERE;
  }

  clear() {
    this.cover.fill(0);
    this.changed = union(this.changed, this.used);
    this.used = NOWHERE;
  }

  invert() {
    const { cover } = this;
    for (let i = 0; i < cover.length; i += 1) cover[i] = 255 - cover[i];
    this.touch([0, 0, this.width, this.height]);
  }

  /** @param {Area} area */
  touch(area) {
    this.used = union(this.used, area);
    this.changed = union(this.changed, area);
  }

  /**
   * @param {number} y
   * @param {number} left of the part of the row that is drawn
   * @param {Uint8Array} row how much of each of its pixels
   * @param {boolean} erase
   * @param {number[] | null} colour
   */
  draw(y, left, row, erase, colour) {
    const { cover, colours } = this;
    for (let i = 0, at = y * this.width + left; i < row.length; i += 1, at += 1) {
      const on = row[i];
      if (on === 0) continue;
      const under = Math.round((cover[at] * (255 - on)) / 255);
      cover[at] = erase ? under : on + under;
      if (!colours || !colour || erase) continue;
      for (let c = 0; c < 3; c += 1) {
        colours[3 * at + c] = Math.round((colour[c] * on + colours[3 * at + c] * under) / (on + under));
      }
    }
  }

  /**
   * Draw a brush that is moved along a line, as one shape: where it crosses itself, a soft edge
   * stays what it is.
   *
   * @param {number[]} points x, y, x, y, ...
   * @param {number} radius to where it covers half
   * @param {number} blur standard deviation of a soft edge, or 0
   * @param {boolean} erase
   * @param {number[] | null} colour
   */
  stroke(points, radius, blur, erase, colour) {
    // A wide soft edge is drawn on a coarser grid, and seen through smooth steps between its places.
    const step = Math.max(1, Math.floor(blur / 2));
    const path = curve(points, blur);
    const edge = profile(radius / step, blur / step);
    const [left, top, right, bottom] = this.clip(around(path, (edge.most + 2) * step));
    if (right <= left || bottom <= top) return;
    const width = Math.ceil((right - left) / step) + 2;
    const places = path.map((at, i) => (at - (i % 2 ? top : left)) / step + (step > 1 ? 1 : 0));
    const shape = trace(places, edge, width, Math.ceil((bottom - top) / step) + 2);
    const row = new Uint8Array(right - left);
    for (let y = top; y < bottom; y += 1) {
      const [from, to] = step > 1 ? between(shape, row, step, y - top) : copied(shape, row, y - top);
      if (from < to) this.draw(y, left + from, row.subarray(from, to), erase, colour);
    }
    this.touch([left, top, right, bottom]);
  }

  /**
   * Draw the inside of a closed line; what it goes around twice is inside as well.
   *
   * @param {number[]} points x, y, x, y, ...
   * @param {boolean} erase
   */
  polygon(points, erase) {
    const whole = around(points, 0);
    const [left, top, right, bottom] = this.clip(whole);
    if (right <= left || bottom <= top) return;
    const from = whole[0];
    const sums = new Float64Array(whole[2] - from + 2);
    const row = new Uint8Array(right - from);
    for (let y = top; y < bottom; y += 1) {
      sums.fill(0);
      for (let i = 0; i < points.length; i += 2) {
        const next = (i + 2) % points.length;
        side(sums, points[i] - from, points[i + 1] - y, points[next] - from, points[next + 1] - y);
      }
      for (let x = 0, sum = 0; x < row.length; x += 1) {
        sum += sums[x];
        row[x] = Math.round(255 * Math.min(1, Math.abs(sum)));
      }
      this.draw(y, left, row.subarray(left - from), erase, null);
    }
    this.touch([left, top, right, bottom]);
  }

  /**
   * Draw another raster over all of this one; each pixel takes one of the other's.
   *
   * @param {import('./types.js').Cover} image
   * @param {boolean} erase
   */
  stretch(image, erase) {
    const { width, height } = this;
    const columns = Int32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * image.width) / width));
    const row = new Uint8Array(width);
    for (let y = 0; y < height; y += 1) {
      const from = Math.floor(((y + 0.5) * image.height) / height) * image.width;
      for (let x = 0; x < width; x += 1) row[x] = image.cover[from + columns[x]];
      this.draw(y, 0, row, erase, null);
    }
    this.touch([0, 0, width, height]);
  }

  /** @param {Area} area */
  clip([left, top, right, bottom]) {
    return [Math.max(0, left), Math.max(0, top), Math.min(this.width, right), Math.min(this.height, bottom)];
  }
}

/** @typedef {number[]} Area  Left, top, right, bottom in whole pixels. */

/** @type {Area} */
export const NOWHERE = [Infinity, Infinity, -Infinity, -Infinity];

/**
 * @param {Area} a
 * @param {Area} b
 * @returns {Area}
 */
function union(a, b) {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}

/**
 * @param {number[]} points
 * @param {number} reach
 * @returns {Area}
 */
function around(points, reach) {
  let area = NOWHERE;
  for (let i = 0; i < points.length; i += 2) area = union(area, [points[i], points[i + 1], points[i], points[i + 1]]);
  const [left, top, right, bottom] = area;
  return [Math.floor(left - reach), Math.floor(top - reach), Math.ceil(right + reach), Math.ceil(bottom + reach)];
}

/**
 * Straight pieces through the middles between points: a quick hand leaves corners otherwise.
 *
 * @param {number[]} points
 * @param {number} blur of the edge, which hides what is much smaller
 */
function curve(points, blur) {
  const kept = points.slice(0, 2);
  for (let i = 2; i < points.length; i += 2) {
    const [x, y] = points.slice(i, i + 2);
    const last = i + 2 === points.length;
    if (last || Math.hypot(x - kept[kept.length - 2], y - kept[kept.length - 1]) > blur / 4) kept.push(x, y);
  }
  const path = kept.slice(0, 2);
  for (let i = 2; i + 3 < kept.length; i += 2) {
    const [x0, y0] = path.slice(-2);
    const [x1, y1] = [kept[i], kept[i + 1]];
    const [x2, y2] = [(x1 + kept[i + 2]) / 2, (y1 + kept[i + 3]) / 2];
    const pieces = Math.ceil(Math.sqrt(Math.hypot(x0 - 2 * x1 + x2, y0 - 2 * y1 + y2) / (0.2 + blur / 8))) || 1;
    for (let k = 1; k <= pieces; k += 1) {
      const t = k / pieces;
      const [a, b, c] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
      path.push(a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2);
    }
  }
  if (kept.length > 2) path.push(...kept.slice(-2));
  return path;
}

/**
 * How much of a pixel is covered at a distance from the middle of a brush.
 *
 * @param {number} radius
 * @param {number} blur
 * @returns {{least: number, most: number, table: Uint8Array}} up to the least everything, from the
 *   most on nothing
 */
function profile(radius, blur) {
  // A pixel is a blur of its own, of a twelfth in its square.
  const soft = Math.hypot(blur, Math.sqrt(1 / 12));
  const normal = (/** @type {number} */ x) => 1 / (1 + Math.exp(-1.5976 * x - 0.07056 * x ** 3));
  const linear = (/** @type {number} */ x) => Math.min(1, Math.max(0, x + 0.5));
  const step = (/** @type {number} */ x) => (blur ? normal(x / soft) : linear(x));
  const wide = blur ? FAR * soft : 0.5;
  const [least, most] = [Math.max(0, radius - wide), radius + wide];
  const table = Uint8Array.from({ length: STEPS + 1 }, (_, i) => {
    const away = least + ((most - least) * i) / STEPS;
    return Math.round(255 * (step(radius - away) - step(-radius - away)));
  });
  return { least, most, table };
}

/**
 * @typedef {object} Shape  A stroke on a grid of its own.
 * @property {number} width
 * @property {Uint8Array} cover
 * @property {Int32Array} from Where each row's stroke begins, and where it ends.
 * @property {Int32Array} to
 */

/**
 * @param {number[]} path straight pieces, whose pixels have their middles at halves
 * @param {ReturnType<typeof profile>} edge
 * @param {number} width
 * @param {number} height
 * @returns {Shape}
 */
function trace(path, edge, width, height) {
  const cover = new Uint8Array(width * height);
  const from = new Int32Array(height).fill(width);
  const to = new Int32Array(height);
  for (let i = 0; i === 0 || i + 2 < path.length; i += 2) {
    const end = Math.min(i + 2, path.length - 2);
    const [ax, ay, bx, by] = [path[i] - 0.5, path[i + 1] - 0.5, path[end] - 0.5, path[end + 1] - 0.5];
    const last = Math.min(height - 1, Math.floor(Math.max(ay, by) + edge.most));
    for (let y = Math.max(0, Math.ceil(Math.min(ay, by) - edge.most)); y <= last; y += 1) {
      const [low, high] = chord(ax, ay, bx, by, edge.most, y);
      const start = Math.max(0, Math.ceil(low));
      const stop = Math.min(width, Math.floor(high) + 1);
      if (start >= stop) continue;
      const [inner, outer] = chord(ax, ay, bx, by, edge.least, y);
      const full = Math.min(stop, Math.max(start, Math.ceil(inner)));
      const over = Math.max(full, Math.min(stop, Math.floor(outer) + 1));
      const row = y * width;
      slope(cover, row, start, full, y, ax, ay, bx, by, edge);
      cover.fill(edge.table[0], row + full, row + over);
      slope(cover, row, over, stop, y, ax, ay, bx, by, edge);
      from[y] = Math.min(from[y], start);
      to[y] = Math.max(to[y], stop);
    }
  }
  return { width, cover, from, to };
}

/**
 * @param {Shape} shape
 * @param {Uint8Array} row to write to
 * @param {number} y
 * @returns {[number, number]} which part of the row was written
 */
function copied({ width, cover, from, to }, row, y) {
  const stop = Math.min(row.length, to[y]);
  if (from[y] < stop) row.set(cover.subarray(y * width + from[y], y * width + stop), from[y]);
  return [from[y], stop];
}

/**
 * Write a row between those of a coarser shape, which begins one of its places earlier.
 *
 * @param {Shape} shape
 * @param {Uint8Array} row to write to
 * @param {number} step pixels in a place of the shape
 * @param {number} y
 * @returns {[number, number]} which part of the row was written
 */
function between({ width, cover, from, to }, row, step, y) {
  const high = (y + 0.5) / step + 0.5;
  const above = Math.floor(high);
  const down = high - above;
  const start = Math.max(0, Math.floor((Math.min(from[above], from[above + 1]) - 2) * step));
  const stop = Math.min(row.length, Math.ceil(Math.max(to[above], to[above + 1]) * step));
  for (let x = start; x < stop; x += 1) {
    const wide = (x + 0.5) / step + 0.5;
    const before = Math.floor(wide);
    const right = wide - before;
    const at = above * width + before;
    const first = cover[at] * (1 - right) + cover[at + 1] * right;
    const second = cover[at + width] * (1 - right) + cover[at + width + 1] * right;
    row[x] = Math.round(first * (1 - down) + second * down);
  }
  return [start, stop];
}

/**
 * Where a row crosses the shape of a disc that is moved along a straight line.
 *
 * @param {number} ax
 * @param {number} ay
 * @param {number} bx
 * @param {number} by
 * @param {number} radius
 * @param {number} y
 * @returns {[number, number]} the first above the second if nowhere
 */
function chord(ax, ay, bx, by, radius, y) {
  let [low, high] = [Infinity, -Infinity];
  const a = radius * radius - (y - ay) * (y - ay);
  if (a >= 0) [low, high] = [ax - Math.sqrt(a), ax + Math.sqrt(a)];
  const b = radius * radius - (y - by) * (y - by);
  if (b >= 0) [low, high] = [Math.min(low, bx - Math.sqrt(b)), Math.max(high, bx + Math.sqrt(b))];
  const length = Math.hypot(bx - ax, by - ay);
  if (by === ay || length === 0) return [low, high];
  // The two straight sides, a radius away.
  for (const away of [radius / length, -radius / length]) {
    const t = (y - ay - away * (bx - ax)) / (by - ay);
    if (t < 0 || t > 1) continue;
    const x = ax + t * (bx - ax) - away * (by - ay);
    [low, high] = [Math.min(low, x), Math.max(high, x)];
  }
  return [low, high];
}

/**
 * Cover pixels of a row by their distance from a straight line.
 *
 * @param {Uint8Array} shape
 * @param {number} row where it begins
 * @param {number} start
 * @param {number} stop
 * @param {number} y
 * @param {number} ax
 * @param {number} ay
 * @param {number} bx
 * @param {number} by
 * @param {{least: number, most: number, table: Uint8Array}} edge
 */
function slope(shape, row, start, stop, y, ax, ay, bx, by, { least, most, table }) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy || 1;
  const scale = STEPS / (most - least);
  for (let x = start; x < stop; x += 1) {
    const t = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
    const [px, py] = [x - ax - t * dx, y - ay - t * dy];
    const away = Math.sqrt(px * px + py * py);
    const on = table[Math.min(STEPS, Math.max(0, Math.round((away - least) * scale)))];
    if (on > shape[row + x]) shape[row + x] = on;
  }
}

/**
 * Add one side of a polygon to the row between 0 and 1: how much of each pixel lies to the right of
 * it, as differences from one pixel to the next.
 *
 * @param {Float64Array} sums
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
function side(sums, x0, y0, x1, y1) {
  const top = Math.max(0, Math.min(y0, y1));
  const bottom = Math.min(1, Math.max(y0, y1));
  if (top >= bottom) return;
  const a = x0 + ((top - y0) * (x1 - x0)) / (y1 - y0);
  const b = x0 + ((bottom - y0) * (x1 - x0)) / (y1 - y0);
  const [left, right] = [Math.min(a, b), Math.max(a, b)];
  const all = y1 > y0 ? bottom - top : top - bottom;
  for (let x = Math.floor(left), before = 0; x <= Math.ceil(right); x += 1) {
    const share = ramp(x + 1 - left, right - left) - ramp(x - left, right - left);
    sums[x] += all * (share - before);
    before = share;
  }
}

/**
 * The area below a line that is 0, rises to 1 over a width, and stays there.
 *
 * @param {number} x where the area ends, from where the line rises
 * @param {number} width
 */
function ramp(x, width) {
  if (x <= 0) return 0;
  return x < width ? (x * x) / (2 * width) : x - width / 2;
}
