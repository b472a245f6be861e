// Colour maps, computed in OKLab so that equal steps of a value are equal steps to the eye.

import { context } from "./dom.js";
import { on } from "./state.js";

const STEPS = 256;

/** Lightness, chroma and hue of the sequential map, from the lowest value to the highest. */
const SEQUENTIAL = [
  [0.14, 0.06, 292],
  [0.3, 0.14, 290],
  [0.46, 0.14, 262],
  [0.61, 0.11, 210],
  [0.76, 0.14, 168],
  [0.88, 0.17, 120],
  [0.97, 0.09, 103],
];
/** Both arms of the diverging maps: blue and orange are told apart by every kind of colour vision. */
const DIVERGING = {
  dark: { low: [0.86, 0.11, 235], lowMiddle: [0.56, 0.17, 258], middle: [0.17, 0.01, 280], highMiddle: [0.6, 0.15, 50], high: [0.9, 0.12, 85] },
  light: { low: [0.34, 0.13, 262], lowMiddle: [0.64, 0.13, 245], middle: [0.975, 0.005, 280], highMiddle: [0.7, 0.14, 60], high: [0.42, 0.12, 42] },
};

/** @param {number[]} lch @returns {[number, number, number]} OKLab */
function toLab([lightness, chroma, hue]) {
  const angle = (hue * Math.PI) / 180;
  return [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)];
}

/** @param {number[]} lab @returns {number} 0xAABBGGRR */
function toPixel([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  const [red, green, blue] = linear.map((part) => {
    const gamma = part <= 0.0031308 ? 12.92 * part : 1.055 * part ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(1, Math.max(0, gamma)));
  });
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** @param {number[][]} stops @returns {Uint32Array} */
function table(stops) {
  const labs = stops.map(toLab);
  return Uint32Array.from({ length: STEPS }, (_, step) => {
    const position = (step / (STEPS - 1)) * (labs.length - 1);
    const index = Math.min(Math.floor(position), labs.length - 2);
    const part = position - index;
    return toPixel(labs[index].map((value, axis) => value + part * (labs[index + 1][axis] - value)));
  });
}

const sequential = table(SEQUENTIAL);
/** @param {keyof typeof DIVERGING} theme */
const divergingTable = (theme) => {
  const { low, lowMiddle, middle, highMiddle, high } = DIVERGING[theme];
  return table([low, lowMiddle, middle, highMiddle, high]);
};
const diverging = { dark: divergingTable("dark"), light: divergingTable("light") };
const grey = Uint32Array.from({ length: STEPS }, (_, step) => ((255 << 24) | (step * 0x010101)) >>> 0);

/** @returns {"dark" | "light"} */
export function theme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
let current = theme();
on("theme", () => {
  current = theme();
});

/** @typedef {{low: number, high: number, table: Uint32Array}} Scale */

/**
 * The scale for values between two bounds: diverging around zero if there are negative ones.
 * @param {number} min
 * @param {number} max
 * @returns {Scale}
 */
export function scaleFor(min, max) {
  if (min < 0) {
    const bound = Math.max(-min, max);
    return { low: -bound, high: bound, table: diverging[current] };
  }
  return { low: min, high: max, table: sequential };
}

/** @param {number} bound @param {"dark" | "light"} [on] what it is laid on @returns {Scale} */
export function divergingScale(bound, on = current) {
  return { low: -bound, high: bound, table: diverging[on] };
}

/** The image itself, from black to white. @type {Scale} */
export const GREY = { low: 0, high: 1, table: grey };

/** @param {ArrayLike<number>} values @returns {[number, number]} */
export function bounds(values) {
  let min = Infinity;
  let max = -Infinity;
  for (let index = 0; index < values.length; index += 1) {
    if (values[index] < min) min = values[index];
    if (values[index] > max) max = values[index];
  }
  return [min, max];
}

/** @param {number} value @param {Scale} scale @returns {number} 0xAABBGGRR */
export function pixel(value, { low, high, table }) {
  const range = high - low;
  const step = range > 0 ? ((value - low) / range) * (STEPS - 1) + 0.5 : 0;
  return table[step <= 0 ? 0 : step >= STEPS - 1 ? STEPS - 1 : step | 0];
}

/**
 * Paints values, a pixel each, and nothing behind the last one.
 * @param {HTMLCanvasElement} target
 * @param {ArrayLike<number>} values
 * @param {number} width
 * @param {number} height
 * @param {Scale} scale
 */
export function paint(target, values, width, height, scale) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < values.length; index += 1) pixels[index] = pixel(values[index], scale);
  put(target, image);
}

/** @param {HTMLCanvasElement} target @param {ImageData} image */
export function put(target, image) {
  if (target.width !== image.width || target.height !== image.height) {
    target.width = image.width;
    target.height = image.height;
  }
  context(target).putImageData(image, 0, 0);
}

/** Paints the colours of a scale from low to high. @param {HTMLCanvasElement} target @param {Scale} scale */
export function paintLegend(target, scale) {
  const image = new ImageData(STEPS, 1);
  new Uint32Array(image.data.buffer).set(scale.table);
  put(target, image);
}
