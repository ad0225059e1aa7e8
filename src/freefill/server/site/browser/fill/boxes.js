// @ts-check
/** Holes on a photo: their boxes, and which of their pixels lie together (`masks/morphology.py`). */

/**
 * @typedef {object} Box `left <= column < right`, `top <= row < bottom`.
 * @property {number} left
 * @property {number} top
 * @property {number} right
 * @property {number} bottom
 *
 * @typedef {object} Plane One number for each pixel, row after row; as a mask 0 or 1.
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} data
 *
 * @typedef {Plane & {box: Box}} Group A hole, tight in its box, and without what else is in there.
 */

/**
 * Reading order: from top to bottom, then from left to right.
 *
 * @param {Box} a
 * @param {Box} b
 */
export function inOrder(a, b) {
  return a.top - b.top || a.left - b.left || a.bottom - b.bottom || a.right - b.right;
}

/** @param {Box} box */
export function area({ left, top, right, bottom }) {
  return (right - left) * (bottom - top);
}

/**
 * A part of a mask.
 *
 * @param {Plane} plane
 * @param {Box} box
 * @returns {Plane}
 */
export function cut(plane, { left, top, right, bottom }) {
  const width = right - left;
  const data = new Uint8Array(width * (bottom - top));
  for (let y = top; y < bottom; y += 1) {
    data.set(plane.data.subarray(y * plane.width + left, y * plane.width + right), (y - top) * width);
  }
  return { width, height: bottom - top, data };
}

/**
 * The groups of hole pixels that lie close together: in one cell of a grid, or in touching ones.
 *
 * @param {Plane} hole
 * @param {number} side of a cell
 * @returns {Group[]} in reading order; their boxes can overlap
 */
export function groups(hole, side) {
  const columns = Math.ceil(hole.width / side);
  const rows = Math.ceil(hole.height / side);
  const grid = new Uint8Array(columns * rows);
  for (let y = 0; y < hole.height; y += 1) {
    const line = Math.floor(y / side) * columns;
    for (let x = 0, at = y * hole.width; x < hole.width; x += 1, at += 1) {
      if (hole.data[at]) grid[line + Math.floor(x / side)] = 1;
    }
  }
  /** @type {Group[]} */
  const found = [];
  for (let start = 0; start < grid.length; start += 1) {
    if (grid[start]) found.push(group(hole, columns, side, taken(grid, columns, start)));
  }
  return found.sort((a, b) => inOrder(a.box, b.box));
}

/**
 * Take a cell and all that it touches, over corners too, out of a grid.
 *
 * @param {Uint8Array} grid
 * @param {number} columns
 * @param {number} start
 */
function taken(grid, columns, start) {
  const rows = grid.length / columns;
  const cells = [start];
  grid[start] = 0;
  for (let next = 0; next < cells.length; next += 1) {
    const row = Math.floor(cells[next] / columns);
    const column = cells[next] % columns;
    for (let r = Math.max(row - 1, 0); r < Math.min(row + 2, rows); r += 1) {
      for (let c = Math.max(column - 1, 0); c < Math.min(column + 2, columns); c += 1) {
        const at = r * columns + c;
        if (!grid[at]) continue;
        grid[at] = 0;
        cells.push(at);
      }
    }
  }
  return cells;
}

/**
 * @param {Plane} hole
 * @param {number} columns
 * @param {number} side
 * @param {number[]} cells that are in the group
 * @returns {Group}
 */
function group(hole, columns, side, cells) {
  const box = { left: hole.width, top: hole.height, right: 0, bottom: 0 };
  /** @type {(cell: number, take: (x: number, y: number) => void) => void} */
  const each = (cell, take) => {
    const top = Math.floor(cell / columns) * side;
    const left = (cell % columns) * side;
    for (let y = top; y < Math.min(top + side, hole.height); y += 1) {
      for (let x = left; x < Math.min(left + side, hole.width); x += 1) if (hole.data[y * hole.width + x]) take(x, y);
    }
  };
  for (const cell of cells) {
    each(cell, (x, y) => {
      box.left = Math.min(box.left, x);
      box.top = Math.min(box.top, y);
      box.right = Math.max(box.right, x + 1);
      box.bottom = Math.max(box.bottom, y + 1);
    });
  }
  const width = box.right - box.left;
  const height = box.bottom - box.top;
  const data = new Uint8Array(width * height);
  for (const cell of cells) {
    each(cell, (x, y) => (data[(y - box.top) * width + x - box.left] = 1));
  }
  return { box, width, height, data };
}
