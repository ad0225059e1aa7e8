// @ts-check
/** Detail at full resolution from the photo's own patches (`pipeline/detail_transfer.py`). */

import { places } from './seen.js';

/** @typedef {import('./boxes.js').Box} Box */
/** @typedef {import('./boxes.js').Plane} Plane */
/** @typedef {import('./seen.js').Photo} Photo */
/** @typedef {import('./seen.js').Seen} Seen */
/**
 * @typedef {object} Sources Where the detail of each patch of two by two cells comes from.
 * @property {number} rows of patches
 * @property {number} columns
 * @property {Int32Array} origin the known patch for each that touches the hole, row after row; -1 elsewhere
 */

const CELL = 8;
const PARTS = 4;
const ROUGHNESS = 4;
const NEARNESS = 0.02;
const PERIOD = 4;
const STEP = 0.02;
const MARGIN = 2;
const AROUND = CELL + 2 * MARGIN;
/** Numbers that a cell is compared by. */
const LENGTH = 3 * PARTS * PARTS + 2;
/** Patches of the hole that are compared at a time. */
const TOGETHER = 8;

/**
 * Find the known patch that is most like each patch of the fill.
 *
 * @param {Float32Array} completed the small picture, filled
 * @param {Seen} seen
 * @param {number} rows of it that are photo; beyond is padding, which gives nothing
 * @param {number} columns
 * @returns {Sources | null} null where no patch is wholly known
 */
export function choose(completed, seen, rows, columns) {
  const across = seen.columns / CELL;
  const size = { rows: seen.rows / CELL - 1, columns: across - 1 };
  const features = cells(completed, seen);
  const missing = new Uint8Array((seen.rows / CELL) * across);
  seen.share.forEach((share, at) => {
    if (share < 1) missing[Math.floor(at / seen.columns / CELL) * across + Math.floor((at % seen.columns) / CELL)] = 1;
  });
  /** @type {number[]} */
  const given = [];
  /** @type {number[]} */
  const wanted = [];
  for (let row = 0; row < size.rows; row += 1) {
    for (let column = 0; column < size.columns; column += 1) {
      const at = row * across + column;
      const touches = missing[at] || missing[at + 1] || missing[at + across] || missing[at + across + 1];
      if (touches) wanted.push(row * size.columns + column);
      else if ((row + 2) * CELL <= rows && (column + 2) * CELL <= columns) given.push(row * size.columns + column);
    }
  }
  if (!given.length) return null;
  const length = 4 * LENGTH + 6;
  const offers = patches(features, given, size.columns, length);
  const queries = patches(features, wanted, size.columns, length);
  const origin = new Int32Array(size.rows * size.columns).fill(-1);
  const best = likest(queries, offers, length);
  wanted.forEach((at, i) => (origin[at] = given[best[i]]));
  return { ...size, origin };
}

/**
 * For each query the offer that is nearest to it; of equals the first.
 *
 * @param {Float32Array} queries
 * @param {Float32Array} offers
 * @param {number} length of each of them
 */
function likest(queries, offers, length) {
  const count = queries.length / length;
  const found = new Int32Array(count);
  const fits = new Float64Array(count).fill(-Infinity);
  const norms = Float64Array.from({ length: offers.length / length }, (_, i) => {
    let sum = 0;
    for (let k = i * length; k < (i + 1) * length; k += 1) sum += offers[k] * offers[k];
    return sum;
  });
  for (let first = 0; first < count; first += TOGETHER) {
    const last = Math.min(first + TOGETHER, count);
    for (let offer = 0; offer < norms.length; offer += 1) {
      const at = offer * length;
      for (let query = first; query < last; query += 1) {
        let dot = 0;
        for (let k = 0, from = query * length; k < length; k += 1) dot += queries[from + k] * offers[at + k];
        const fit = 2 * dot - norms[offer];
        if (fit <= fits[query]) continue;
        fits[query] = fit;
        found[query] = offer;
      }
    }
  }
  return found;
}

/**
 * What cells are compared by: mean colours of their parts, and their mean steps.
 *
 * @param {Float32Array} completed
 * @param {Seen} seen
 */
function cells(completed, { rows, columns }) {
  const across = columns / CELL;
  const features = new Float32Array((rows / CELL) * across * LENGTH);
  const part = CELL / PARTS;
  const grey = (/** @type {number} */ at) => (completed[3 * at] + completed[3 * at + 1] + completed[3 * at + 2]) / 3;
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const at = y * columns + x;
      const cell = (Math.floor(y / CELL) * across + Math.floor(x / CELL)) * LENGTH;
      const own = cell + 3 * (Math.floor((y % CELL) / part) * PARTS + Math.floor((x % CELL) / part));
      for (let c = 0; c < 3; c += 1) features[own + c] += completed[3 * at + c] / (part * part * PARTS);
      const share = ROUGHNESS / (CELL * CELL);
      if (x + 1 < columns) features[cell + LENGTH - 2] += Math.abs(grey(at + 1) - grey(at)) * share;
      if (y + 1 < rows) features[cell + LENGTH - 1] += Math.abs(grey(at + columns) - grey(at)) * share;
    }
  }
  return { features, across };
}

/**
 * @param {{features: Float32Array, across: number}} cells
 * @param {number[]} which
 * @param {number} columns of patches
 * @param {number} length
 */
function patches({ features, across }, which, columns, length) {
  const found = new Float32Array(which.length * length);
  const turn = (2 * Math.PI) / PERIOD;
  which.forEach((patch, i) => {
    const row = Math.floor(patch / columns);
    const column = patch % columns;
    for (let corner = 0; corner < 4; corner += 1) {
      const cell = ((row + (corner >> 1)) * across + column + (corner & 1)) * LENGTH;
      found.set(features.subarray(cell, cell + LENGTH), i * length + corner * LENGTH);
    }
    const waves = [row, column].flatMap((at) => [Math.cos(at * turn), Math.sin(at * turn)]);
    const place = [row * NEARNESS, column * NEARNESS, ...waves.map((wave) => Math.sqrt(STEP) * wave)];
    found.set(place, i * length + 4 * LENGTH);
  });
  return found;
}

/**
 * Make the full-resolution colours of a hole, cell by cell.
 *
 * @param {Photo} photo
 * @param {import('./tiling.js').Crop} crop
 * @param {Plane} hole in the crop's hole box
 * @param {Float32Array} completed the small picture, filled
 * @param {Seen} seen
 * @returns {Float32Array} three colours a pixel of the hole box, in about [0, 1]
 */
export function detailed(photo, crop, hole, completed, seen) {
  const { box, factor } = crop;
  const side = CELL * factor;
  const rows = Math.floor((box.bottom - box.top) / factor);
  const columns = Math.floor((box.right - box.left) / factor);
  const sources = choose(completed, seen, rows, columns);
  const enlarge = enlarging(factor);
  const windows = [0, 1].map((quarter) => Float32Array.from({ length: side }, (_, i) =>
    // One half of a raised cosine; never quite 0, for the photo's border.
    0.5 - 0.5 * Math.cos((Math.PI * (quarter * side + i + 0.5)) / side) + 1e-3));
  const result = new Float32Array(3 * hole.width * hole.height);
  const top = crop.hole.top - box.top;
  const left = crop.hole.left - box.left;
  for (let row = Math.floor(top / side); row * side < top + hole.height; row += 1) {
    for (let column = Math.floor(left / side); column * side < left + hole.width; column += 1) {
      const [y, x] = [row * side - top, column * side - left];
      if (!touches(hole, y, x, side)) continue;
      const made = makeCell(photo, box, completed, seen, sources, enlarge, windows, row, column);
      for (let i = Math.max(0, -y); i < Math.min(side, hole.height - y); i += 1) {
        const from = Math.max(0, -x);
        const until = Math.min(side, hole.width - x);
        result.set(made.subarray(3 * (i * side + from), 3 * (i * side + until)), 3 * ((y + i) * hole.width + x + from));
      }
    }
  }
  return result;
}

/**
 * @param {Plane} hole
 * @param {number} top
 * @param {number} left
 * @param {number} side
 */
function touches({ width, height, data }, top, left, side) {
  for (let y = Math.max(0, top); y < Math.min(top + side, height); y += 1) {
    for (let x = Math.max(0, left); x < Math.min(left + side, width); x += 1) if (data[y * width + x]) return true;
  }
  return false;
}

/**
 * @param {Photo} photo
 * @param {Box} box
 * @param {Float32Array} completed
 * @param {Seen} seen
 * @param {Sources | null} sources
 * @param {Float32Array} enlarge
 * @param {Float32Array[]} windows
 * @param {number} row of the cell
 * @param {number} column
 */
function makeCell(photo, box, completed, seen, sources, enlarge, windows, row, column) {
  const side = windows[0].length;
  const small = around(completed, seen, row, column);
  if (!sources) return enlarged(enlarge, small, side);
  const total = new Float32Array(3 * side * side);
  const weight = new Float32Array(side * side);
  for (const [a, b] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    // This cell is the (a, b) quarter of the patch that starts a rows and b columns before.
    const [r, c] = [row - a, column - b];
    if (r < 0 || r >= sources.rows || c < 0 || c >= sources.columns) continue;
    const patch = sources.origin[r * sources.columns + c];
    const [fromRow, fromColumn] = [Math.floor(patch / sources.columns) + a, (patch % sources.columns) + b];
    const other = around(completed, seen, fromRow, fromColumn);
    const difference = enlarged(enlarge, small.map((value, i) => value - other[i]), side);
    add(photo, box, fromRow * side, fromColumn * side, difference, windows[a], windows[b], total, weight);
  }
  return total.map((value, i) => value / weight[Math.floor(i / 3)]);
}

/**
 * @param {Photo} photo
 * @param {Box} box
 * @param {number} top of the cell that is copied, in the box
 * @param {number} left
 * @param {Float32Array} difference
 * @param {Float32Array} down
 * @param {Float32Array} across
 * @param {Float32Array} total
 * @param {Float32Array} weight
 */
function add(photo, box, top, left, difference, down, across, total, weight) {
  const side = down.length;
  const colours = places(photo);
  for (let i = 0, at = 0; i < side; i += 1) {
    let from = ((box.top + top + i) * photo.width + box.left + left) * photo.channels;
    for (let j = 0; j < side; j += 1, at += 1, from += photo.channels) {
      const share = down[i] * across[j];
      weight[at] += share;
      for (let c = 0; c < 3; c += 1) {
        total[3 * at + c] += (photo.samples[from + colours[c]] / 255 + difference[3 * at + c]) * share;
      }
    }
  }
}

/**
 * A cell of the small picture with its margin, three colours a pixel.
 *
 * @param {Float32Array} completed
 * @param {Seen} seen
 * @param {number} row
 * @param {number} column
 */
function around(completed, { rows, columns }, row, column) {
  const found = new Float32Array(3 * AROUND * AROUND);
  for (let i = 0; i < AROUND; i += 1) {
    const y = Math.min(Math.max(row * CELL + i - MARGIN, 0), rows - 1);
    for (let j = 0; j < AROUND; j += 1) {
      const x = Math.min(Math.max(column * CELL + j - MARGIN, 0), columns - 1);
      const from = 3 * (y * columns + x);
      const to = 3 * (i * AROUND + j);
      for (let c = 0; c < 3; c += 1) found[to + c] = completed[from + c];
    }
  }
  return found;
}

/**
 * The matrix that enlarges a cell with its margin along one axis, bicubic (a = -0.5).
 *
 * @param {number} factor
 */
function enlarging(factor) {
  const matrix = new Float32Array(CELL * factor * AROUND);
  for (let i = 0; i < CELL * factor; i += 1) {
    const place = (i + 0.5) / factor - 0.5 + MARGIN;
    for (let j = 0; j < AROUND; j += 1) {
      const away = Math.abs(place - j);
      const near = 1.5 * away ** 3 - 2.5 * away ** 2 + 1;
      const far = -0.5 * away ** 3 + 2.5 * away ** 2 - 4 * away + 2;
      matrix[i * AROUND + j] = away <= 1 ? near : away < 2 ? far : 0;
    }
  }
  return matrix;
}

/**
 * @param {Float32Array} enlarge
 * @param {Float32Array} small
 * @param {number} side
 */
function enlarged(enlarge, small, side) {
  const tall = new Float32Array(3 * side * AROUND);
  const line = 3 * AROUND;
  for (let i = 0; i < side; i += 1) {
    for (let k = 0; k < AROUND; k += 1) {
      const by = enlarge[i * AROUND + k];
      if (by) for (let j = 0; j < line; j += 1) tall[i * line + j] += by * small[k * line + j];
    }
  }
  const wide = new Float32Array(3 * side * side);
  for (let j = 0; j < side; j += 1) {
    for (let k = 0; k < AROUND; k += 1) {
      const by = enlarge[j * AROUND + k];
      if (!by) continue;
      for (let i = 0; i < side; i += 1) {
        const to = 3 * (i * side + j);
        const from = i * line + 3 * k;
        wide[to] += by * tall[from];
        wide[to + 1] += by * tall[from + 1];
        wide[to + 2] += by * tall[from + 2];
      }
    }
  }
  return wide;
}
