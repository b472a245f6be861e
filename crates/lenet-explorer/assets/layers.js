// All stages of the network, a block for each layer.

/** @import { Stage, Unit, View } from "./types.js" */

import { button, create, debounced, element } from "./dom.js";
import { StageFigure } from "./figure.js";
import { count } from "./format.js";
import { emit, network, on, state } from "./state.js";
import { describe, pick, same, within } from "./units.js";

const container = element("layers");
const help = element("layers-help");
const HELP = help.textContent ?? "";

/** @type {Map<string, StageFigure>} */
let figures = new Map();
let built = "";
/** @type {Unit | null} */
let hovered = null;

/**
 * The stages of each layer. What has no weights stands with the layer that it feeds, and the probabilities with
 * the last.
 * @param {Stage[]} stages
 */
function blocks(stages) {
  /** @type {Map<string, Stage[]>} */
  const found = new Map();
  /** @type {Stage[]} */
  let waiting = [];
  let layer = "";
  for (const stage of stages) {
    if (stage.kind === "input" || stage.kind === "flatten") {
      waiting.push(stage);
      continue;
    }
    if (stage.kind !== "probabilities") [layer] = stage.name.split(".");
    found.set(layer, [...(found.get(layer) ?? []), ...waiting, stage]);
    waiting = [];
  }
  return found;
}

/** `conv1` as `Convolution 1`. @param {string} layer */
function title(layer) {
  const [, kind, index] = /^([a-z]+)(\d*)$/.exec(layer) ?? [];
  const name = { conv: "Convolution", dense: "Dense" }[kind ?? ""] ?? layer;
  return index ? `${name} ${index}` : name;
}

/** @param {string} layer */
function facts(layer) {
  const known = network()?.layers.find(({ name }) => name === layer);
  if (!known || known.parameters === 0) return "";
  const detail = known.kind.replace(/^\D*/, "");
  return `${detail ? `${detail} · ` : ""}${count(known.parameters)} parameters · ${count(known.multiply_adds)} multiply-adds`;
}

/** @param {View} view */
function build({ stages }) {
  figures = new Map();
  const made = [];
  for (const [layer, members] of blocks(stages)) {
    const row = create("div", { class: "stages" });
    for (const stage of members) {
      const known = network()?.layers.find(({ name }) => name === stage.name);
      const figure = new StageFigure(stage, known?.kind ?? stage.kind);
      figures.set(stage.name, figure);
      row.append(figure.element);
    }
    const heading = create("div", { class: "block-title" }, [create("h3", { text: title(layer) }), create("p", { class: "quiet", text: facts(layer) })]);
    made.push(create("div", { class: "block card", data: { layer, first: members[0].kind } }, [heading, row]));
  }
  container.replaceChildren(...made);
}

function paint() {
  const { view } = state;
  if (!view) return;
  const structure = [view.network, ...view.stages.map(({ name, shape }) => `${name} ${shape}`)].join();
  if (structure !== built) {
    built = structure;
    build(view);
  }
  for (const stage of view.stages) figures.get(stage.name)?.paint(stage);
  // Another network may lack the picked unit: the nearest one is picked then.
  const unit = within(view, state.unit);
  if (state.unit && (!unit || !same(unit, state.unit))) pick(unit);
  if (!hovered) explain(state.unit);
}

/** Says what is under the pointer, or picked, or what can be done. @param {Unit | null} unit */
function explain(unit) {
  help.textContent = unit && state.view ? describe(state.view, unit) : HELP;
}

function repaint() {
  for (const figure of figures.values()) figure.repaint();
}

on("view", paint);
on("theme", repaint);
on("unit", () => {
  for (const figure of figures.values()) figure.mark();
  explain(state.unit);
});
on("hover", (unit) => {
  hovered = unit;
  explain(hovered ?? state.unit);
});
on("scale", () => {
  const own = state.scale === "own";
  button("scale").setAttribute("aria-pressed", String(!own));
  repaint();
});
button("scale").addEventListener("click", () => {
  state.scale = state.scale === "own" ? "shared" : "own";
  emit("scale");
});
new ResizeObserver(debounced(100, repaint)).observe(container);
