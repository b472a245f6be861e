// Numbers as people read them.

const MINUS = "−";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A value of a map, in three significant digits; whole from 1,000 on. @param {number} value */
export function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text = String(Number(size.toPrecision(3)));
  if (size < 0.001 || size >= 1e6) text = power(size);
  else if (size >= 999.5) text = count(Math.round(size));
  return value < 0 ? MINUS + text : text;
}

/** `6.4·10⁻¹⁷`. @param {number} size above 0 */
function power(size) {
  const [digits, exponent] = size.toExponential(1).split("e");
  const raised = [...exponent].map((sign) => (sign === "-" ? "⁻" : (SUPERSCRIPTS[Number(sign)] ?? "")));
  return `${digits}·10${raised.join("")}`;
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
