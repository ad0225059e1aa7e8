// @ts-check
/** Numbers as NumPy has them, where JavaScript differs. */

/**
 * Round to the nearest whole number; halves to the even one.
 *
 * @param {number} value at least 0
 */
export function round(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

/**
 * A colour in [0, 1] as a sample of 8 bits.
 *
 * @param {number} value
 */
export function sample(value) {
  return round(Math.fround(255 * Math.min(1, Math.max(0, value))));
}

/** Rec. 601: the weights of red, green and blue in a grey. */
export const LUMA = [0.299, 0.587, 0.114];
