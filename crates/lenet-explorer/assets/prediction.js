// What the network reads, and how sure it is.

import { create, debounced, element } from "./dom.js";
import { nats, number, percent } from "./format.js";
import { emit, network, on, state } from "./state.js";

/** @type {{row: HTMLButtonElement, bar: HTMLElement, part: HTMLElement}[]} */
let rows = [];
let built = "";

// While it changes with every stroke, screen readers need not hear of it.
const atRest = debounced(600, () => element("prediction").setAttribute("aria-busy", "false"));

/** Explains a class; the class that is explained already: the predicted one again. @param {number} index */
function choose(index) {
  state.explained = state.explained === index ? null : index;
  emit("explained");
}

/** @param {string[]} classes */
function build(classes) {
  rows = classes.map((name, index) => {
    const bar = create("span", { class: "bar-fill" });
    const part = create("span", { class: "part" });
    const row = create("button", { data: { class: String(index) }, attributes: { type: "button", title: `Which pixels speak for ${name}` } }, [
      create("span", { class: "class-name", text: name }),
      create("span", { class: "bar-track", attributes: { "aria-hidden": "true" } }, [bar]),
      part,
    ]);
    row.addEventListener("click", () => choose(index));
    return { row, bar, part };
  });
  const longest = Math.max(...classes.map(({ length }) => length));
  element("probabilities").style.setProperty("--names", `${Math.min(6, 1.6 + 0.5 * longest)}rem`);
  element("probabilities").replaceChildren(...rows.map(({ row }) => create("li", {}, [row])));
}

function paint() {
  const { view } = state;
  const classes = network()?.classes ?? [];
  if (!view) return;
  const key = `${view.network} ${classes.join()}`;
  if (key !== built) build(classes);
  built = key;
  const { prediction, image } = view;
  const label = image.label ? classes.indexOf(image.label.name) : -1;
  rows.forEach(({ row, bar, part }, index) => {
    const probability = prediction.probabilities[index] ?? 0;
    bar.style.setProperty("--part", String(probability));
    part.textContent = percent(probability);
    row.classList.toggle("best", index === prediction.class);
    row.classList.toggle("right", index === label);
  });
  const target = element("prediction");
  target.setAttribute("aria-busy", "true");
  atRest();
  target.textContent = `${prediction.name} · ${(100 * prediction.probability).toFixed(1)} %`;
  target.dataset.class = String(prediction.class);
  const most = Math.log(prediction.probabilities.length);
  element("entropy").textContent = `Entropy ${nats(prediction.entropy)}, of at most ${number(most)}`;
  truth();
  mark();
}

function truth() {
  const { view } = state;
  const target = element("truth");
  target.className = "quiet";
  if (!view?.image.label) {
    target.textContent = "";
    return;
  }
  const { name } = view.image.label;
  if (!network()?.classes.includes(name)) {
    target.textContent = `Labelled “${name}”, which is not a class of this network.`;
    return;
  }
  const right = name === view.prediction.name;
  target.textContent = right ? `Right: labelled “${name}”.` : `Wrong: labelled “${name}”.`;
  target.classList.add(right ? "is-right" : "is-wrong");
}

function mark() {
  rows.forEach(({ row }, index) => row.setAttribute("aria-pressed", String(state.explained === index)));
}

on("view", paint);
on("explained", mark);
on("networks", () => {
  built = "";
});
