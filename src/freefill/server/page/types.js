// @ts-check
/**
 * The shapes of the page's data; this module has no code.
 *
 * All places and lengths are in pixels of the photo at its full size.
 *
 * @typedef {{kind: 'stroke', erase: boolean, size: number, hardness: number, points: number[],
 *   layer?: Layer, colour?: string}} Stroke
 *   A brush of a diameter and a hardness in [0, 1]; points are x, y, x, y, ...; without a layer it
 *   is of the mask.
 * @typedef {'lines' | 'colours'} Layer  What a fill is to follow, and what it is to take up.
 * @typedef {{kind: 'box', erase: boolean, points: number[]}} Box  Two opposite corners.
 * @typedef {{kind: 'lasso', erase: boolean, points: number[]}} Lasso  A closed line.
 * @typedef {{width: number, height: number, cover: Uint8Array}} Cover  How much of each pixel is
 *   covered, 0 to 255, row after row.
 * @typedef {{kind: 'bitmap', image: Cover, replace: boolean, erase?: boolean}} Bitmap  A mask that was
 *   read, grown, or that the server found, over the whole photo.
 * @typedef {{kind: 'invert'}} Invert
 * @typedef {{kind: 'clear'}} Clear
 * @typedef {Stroke | Box | Lasso} Drawn
 * @typedef {Drawn | Bitmap | Invert | Clear} Op  One step of a mask: a mask is the list of its steps.
 *
 * @typedef {object} Base  What fills start from.
 * @property {Blob} blob The encoded file.
 * @property {Shown} image What of it is drawn.
 * @property {string} [ending] Of the file, where it is not that of the photo's name.
 *
 * @typedef {object} Shown  A picture for the screen.
 * @property {number} width Of the photo.
 * @property {number} height
 * @property {ImageBitmap} whole At most the size that a canvas can be drawn from quickly.
 * @property {ImageBitmap} small For a view that shows less.
 *
 * @typedef {object} Patch  What a fill gave: its pixels inside the hole.
 * @property {ImageBitmap} image Transparent outside the hole.
 * @property {number} left
 * @property {number} top
 * @property {Drawing} drawing What it was made from.
 * @property {number} seconds
 * @property {string} model The network that made it; '' for the only one.
 *
 * @typedef {object} Drawing  All that is drawn over a photo.
 * @property {readonly Op[]} ops The mask.
 * @property {readonly Stroke[]} lines The sketch.
 * @property {readonly Stroke[]} colours Strokes of colour.
 *
 * @typedef {object} Rest
 * @property {Base} base
 * @property {Patch | null} patch
 * @typedef {Drawing & Rest} State  The document at one moment; never changed, only replaced.
 *
 * @typedef {'brush' | 'eraser' | 'box' | 'lasso' | 'pick' | 'hand' | 'pencil' | 'paint'} Tool
 */
export {};
