// The picked unit: where it is, what it computes, and what it looks for.

/** @import { Unit, View } from "./types.js" */

import { Latest, getJson, url } from "./api.js";
import { GREY, bounds, divergingScale, paint as paintMap, pixel, put } from "./colour.js";
import { button, canvas, debounced, element } from "./dom.js";
import { number } from "./format.js";
import { showError } from "./message.js";
import { on, state } from "./state.js";
import { describe, fieldOf, pick, stageOf } from "./units.js";

/** @typedef {{stage: string, channel: number, layer: string, kind: string, weights: {shape: number[], values: number[]} | null, bias: number | null, words: string}} Kernel */

const kernels = new Latest(showError);
const target = canvas("unit-kernel");
const HELP = element("unit-words").textContent ?? "";
/** @type {Kernel | null} */
let kernel = null;
let known = "";

/** Paints maps of weights beside each other, with a gap between them. @param {Kernel} kernel */
function paintKernel({ weights }) {
  element("unit-maps").hidden = !weights || weights.values.length === 0;
  if (!weights || element("unit-maps").hidden) return;
  const [count, height, width] = weights.shape.length === 3 ? weights.shape : [1, ...stripShape(weights.values.length)];
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  const [min, max] = bounds(weights.values);
  const scale = divergingScale(Math.max(-min, max));
  const image = new ImageData(columns * (width + 1) - 1, rows * (height + 1) - 1);
  const pixels = new Uint32Array(image.data.buffer);
  weights.values.forEach((value, index) => {
    const map = Math.floor(index / (height * width));
    const row = Math.floor(index / width) % height;
    const y = Math.floor(map / columns) * (height + 1) + row;
    const x = (map % columns) * (width + 1) + (index % width);
    pixels[y * image.width + x] = pixel(value, scale);
  });
  put(target, image);
  target.setAttribute("aria-label", `Weights of the unit, from ${number(min)} to ${number(max)}`);
}

/** Paints the part of the image that the unit sees. @param {View} view @param {Unit} unit */
function paintPatch(view, unit) {
  const { top, left, height, width } = fieldOf(view, unit);
  // A unit at the edge may see nothing but the padding.
  canvas("unit-patch").hidden = height === 0 || width === 0;
  if (canvas("unit-patch").hidden) return;
  const [, columns] = view.size;
  const [{ values }] = view.stages;
  const rows = Array.from({ length: height }, (_, row) => values.subarray((top + row) * columns + left, (top + row) * columns + left + width));
  paintMap(canvas("unit-patch"), rows.flatMap((row) => [...row]), width, height, GREY);
}

/** Rows and columns of weights that have no place in an image. @param {number} count */
function stripShape(count) {
  const rows = Math.ceil(count / 24);
  return [rows, Math.ceil(count / rows)];
}

function paint() {
  const { unit, view } = state;
  button("unpick").hidden = !unit;
  if (!unit || !view) {
    element("unit-facts").textContent = "No unit picked.";
    element("unit-words").textContent = HELP;
    element("unit-maps").hidden = true;
    kernel = null;
    known = "";
    return;
  }
  element("unit-facts").textContent = describe(view, unit);
  paintPatch(view, unit);
  const stage = stageOf(view, unit.stage);
  const name = stage?.name ?? "";
  if (stage?.kind === "input" || stage?.kind === "flatten" || stage?.kind === "probabilities") {
    const words = {
      input: "A pixel of the image, from 0 (black) to 1 (white).",
      flatten: "A value of the last maps, in a row with all others: no weights here.",
      probabilities: "The softmax of the last layer's values: they add up to 1.",
    };
    element("unit-words").textContent = words[stage.kind];
    element("unit-maps").hidden = true;
    known = "";
    return;
  }
  const key = `${view.network} ${view.step} ${name} ${unit.channel}`;
  if (key === known) return;
  known = key;
  const path = url("/api/unit", { network: view.network, stage: name, channel: unit.channel });
  kernels.submit(async (signal) => {
    const answer = await getJson(path, signal);
    return () => {
      if (key !== known) return;
      kernel = answer;
      element("unit-words").textContent = answer.words;
      paintKernel(answer);
    };
  });
}

// The value follows the drawing; screen readers hear of a picked unit once it is at rest.
const say = debounced(500, () => {
  if (state.unit && state.view) element("announcer").textContent = describe(state.view, state.unit);
});

on("view", paint);
on("unit", () => {
  paint();
  say();
});
on("theme", () => {
  if (kernel && state.unit) paintKernel(kernel);
});
button("unpick").addEventListener("click", () => pick(null));
