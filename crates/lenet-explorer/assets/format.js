// Numbers as people read them.

const MINUS = "−";

/** A value of a map, in three significant digits. @param {number} value */
export function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1000 || size < 0.001 ? size.toExponential(1) : String(Number(size.toPrecision(3)));
  return value < 0 ? MINUS + text : text;
}

/** A part of one. The space keeps number and sign on one line. @param {number} part */
export function percent(part) {
  return `${(100 * part).toFixed(1)}\u00a0%`;
}

/** An entropy. @param {number} value */
export function nats(value) {
  return value < 0.001 ? "below 0.001 nats" : `${number(value)} nats`;
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/** `6×28×28`. @param {number[]} shape */
export function shape(shape) {
  return shape.map(count).join("×");
}

/** A file's size. @param {number} bytes */
export function bytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** What stands at the beginning has a capital letter. @param {string} text */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
