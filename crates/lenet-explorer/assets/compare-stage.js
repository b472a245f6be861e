// One stage of two images: A, B and their difference, the channels that differ most in front.

/** @import { Stage } from "./types.js" */

import { divergingScale, paint, scaleFor } from "./colour.js";
import { create } from "./dom.js";
import { number } from "./format.js";

/** Channels shown until all are asked for. */
const FIRST = 6;
/** Kinds of stages that are open at first: what the next layer reads. */
const OPEN = ["activation", "probabilities"];
const SIDES = ["A", "B", "B − A"];

/** @param {string} label */
function map(label) {
  return create("canvas", { attributes: { role: "img", "aria-label": label, width: "1", height: "1" } });
}

export class CompareStage {
  /** @type {{element: HTMLElement, canvases: HTMLCanvasElement[], label: HTMLElement}[]} */
  #slots = [];
  #strip;
  #range = create("span", { class: "quiet" });

  /** @param {Stage} stage */
  constructor(stage) {
    this.#strip = stage.shape.length === 1;
    const channels = this.#strip ? 1 : stage.shape[0];
    const grid = create("div", { class: this.#strip ? "compare-strip" : "compare-grid" });
    grid.append(create("div", { class: "slot sides", attributes: { "aria-hidden": "true" } }, SIDES.map((text) => create("span", { text }))));
    for (let slot = 0; slot < channels; slot += 1) {
      const canvases = SIDES.map(map);
      const label = create("span", { class: "quiet" });
      const made = create("div", { class: "slot" }, [...canvases, ...(this.#strip ? [] : [label])]);
      made.hidden = slot >= FIRST;
      this.#slots.push({ element: made, canvases, label });
      grid.append(made);
    }
    const summary = create("summary", {}, [stage.name, this.#range]);
    this.element = create("details", { class: "compare-stage", data: { stage: stage.name } }, [summary, grid]);
    this.element.open = OPEN.includes(stage.kind);
    if (channels > FIRST) this.element.append(this.#allButton(channels));
  }

  /** @param {number} channels */
  #allButton(channels) {
    const all = create("button", { class: "small", text: `Show all ${channels}`, attributes: { type: "button", "aria-expanded": "false" } });
    all.addEventListener("click", () => {
      const open = all.getAttribute("aria-expanded") !== "true";
      all.setAttribute("aria-expanded", String(open));
      all.textContent = open ? `Show first ${FIRST}` : `Show all ${channels}`;
      this.#slots.forEach(({ element }, slot) => {
        element.hidden = !open && slot >= FIRST;
      });
    });
    return all;
  }

  /**
   * @param {Stage} a
   * @param {Stage} b
   * @param {number[]} order channels or units, most different first
   * @param {number[]} distance of every channel or unit
   */
  paint(a, b, order, distance) {
    const shared = scaleFor(Math.min(a.min, b.min), Math.max(a.max, b.max));
    const difference = Float32Array.from(b.values, (value, index) => value - a.values[index]);
    const bound = difference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scales = [shared, shared, divergingScale(bound)];
    const sides = [a.values, b.values, difference];
    this.#range.textContent = `values ${number(shared.low)} to ${number(shared.high)}, difference up to ±${number(bound)}`;
    if (this.#strip) {
      const [{ canvases }] = this.#slots;
      canvases.forEach((canvas, side) => {
        const sorted = Float32Array.from(order, (unit) => sides[side][unit]);
        paint(canvas, sorted, sorted.length, 1, scales[side]);
        canvas.setAttribute("aria-label", `${b.name}, ${SIDES[side]}, units that differ most first: ${order.slice(0, 5).join(", ")}`);
      });
      return;
    }
    const [, height, width] = b.shape;
    this.#slots.forEach(({ canvases, label }, slot) => {
      const channel = order[slot];
      canvases.forEach((canvas, side) => {
        const part = sides[side].subarray(channel * height * width, (channel + 1) * height * width);
        paint(canvas, part, width, height, scales[side]);
        canvas.dataset.channel = String(channel);
        canvas.setAttribute("aria-label", `${b.name}, channel ${channel}, ${SIDES[side]}`);
      });
      label.textContent = `${channel} · ${number(distance[channel])}`;
      label.title = `channel ${channel}, distance ${number(distance[channel])}`;
    });
  }
}
