// Two images side by side: what is pinned as A, and what is shown now as B.

/** @import { Prediction, View } from "./types.js" */

import { Latest, post, url } from "./api.js";
import { GREY, divergingScale, paint } from "./colour.js";
import { CompareStage } from "./compare-stage.js";
import { button, canvas, create, element } from "./dom.js";
import { asSeen, request } from "./explorer.js";
import { nats, percent } from "./format.js";
import { announce, showError } from "./message.js";
import { emit, on, state } from "./state.js";

/** @typedef {{stages: {name: string, distance: number[], order: number[]}[], a: Prediction, b: Prediction, words: string[]}} Comparison */

const comparisons = new Latest(showError);
/** @type {{view: View, key: string} | null} */
let first = null;
/** @type {{a: View, b: View, comparison: Comparison} | null} */
let shown = null;
/** @type {Map<string, CompareStage>} */
let stages = new Map();
let built = "";

/** @param {AbortSignal} signal @returns {Promise<View>} the view of A by the network of now */
async function viewOfFirst(signal) {
  const { pinned, network, view } = state;
  if (!pinned) throw new Error("nothing is pinned");
  const key = `${network} ${view?.step}`;
  if (first?.key !== key || first.view.image !== pinned) {
    first = { view: await request(network, pinned, signal), key };
  }
  return first.view;
}

function update() {
  element("compare").hidden = !state.pinned;
  if (!state.pinned || !state.view) return;
  comparisons.submit(async (signal) => {
    const b = state.view;
    if (!b) return () => {};
    const a = await viewOfFirst(signal);
    const answer = await post(url("/api/compare", { network: b.network }), new Blob([a.seen, b.seen]), { signal });
    const comparison = await answer.json();
    return () => {
      if (!state.pinned || a.network !== b.network) return;
      shown = { a, b, comparison };
      show();
    };
  });
}

/** @param {string} side @param {View} view @param {Prediction} prediction */
function caption(side, view, prediction) {
  const { title } = view.image;
  const read = `${prediction.name || view.prediction.name}, ${percent(prediction.probability)}, entropy ${nats(prediction.entropy)}`;
  element(`compare-${side}-text`).replaceChildren(`${title} · `, create("strong", { text: read }));
}

function show() {
  if (!shown) return;
  const { a, b, comparison } = shown;
  const [height, width] = b.size;
  const [x, y] = [a.stages[0].values, b.stages[0].values];
  paint(canvas("compare-a"), x, width, height, GREY);
  paint(canvas("compare-b"), y, width, height, GREY);
  const difference = Float32Array.from(y, (value, index) => value - x[index]);
  paint(canvas("compare-difference"), difference, width, height, divergingScale(1));
  caption("a", a, comparison.a);
  caption("b", b, comparison.b);
  const words = comparison.words.map((text) => create("li", { text }));
  element("compare-words").replaceChildren(...words);
  showStages(a, b, comparison);
}

/** @param {View} a @param {View} b @param {Comparison} comparison */
function showStages(a, b, comparison) {
  const structure = [b.network, ...b.stages.map(({ name, shape }) => `${name} ${shape}`)].join();
  if (structure !== built) {
    built = structure;
    const compared = b.stages.filter(({ kind }) => kind !== "input" && kind !== "flatten");
    stages = new Map(compared.map((stage) => [stage.name, new CompareStage(stage)]));
    element("compare-maps").replaceChildren(...[...stages.values()].map(({ element: made }) => made));
  }
  for (const { name, order, distance } of comparison.stages) {
    const of = /** @param {View} view */ (view) => view.stages.find((stage) => stage.name === name);
    const [left, right] = [of(a), of(b)];
    if (left && right) stages.get(name)?.paint(left, right, order, distance);
  }
}

button("pin").addEventListener("click", () => {
  if (!state.view) return;
  state.pinned = asSeen(state.view);
  first = null;
  emit("pinned");
  announce("Image A is kept: choose or draw another to compare with it.");
});
button("unpin").addEventListener("click", () => {
  state.pinned = null;
  shown = null;
  comparisons.cancel();
  emit("pinned");
  button("pin").focus();
});
on("pinned", update);
on("view", update);
on("theme", () => {
  show();
});
