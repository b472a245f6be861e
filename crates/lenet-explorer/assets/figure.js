// One stage of the network as a figure: a map for each channel, or the units of a dense stage as a strip.

/** @import { Stage, Unit } from "./types.js" */

import { bounds, paintLegend, pixel, scaleFor } from "./colour.js";
import { context, create } from "./dom.js";
import { number, shape } from "./format.js";
import { emit, state } from "./state.js";
import { pick } from "./units.js";

/** The smallest side of a unit in a strip, in rem. */
const CELL = 0.62;
/**
 * What a stage is called over its maps, by its kind or by what the network says of it.
 * @type {Record<string, string>}
 */
const NAMES = { relu: "ReLU", probabilities: "softmax" };

/** @typedef {{canvas: HTMLCanvasElement, box: HTMLElement, image: ImageData, pixels: Uint32Array}} Cell */

export class StageFigure {
  /** @type {Cell[]} */
  #cells = [];
  #columns = 1;
  #marker = create("div", { class: "marker", attributes: { "aria-hidden": "true" } });
  #legend = create("canvas", { class: "legend", attributes: { "aria-hidden": "true", width: "256", height: "1" } });
  #low = create("span", { class: "bound" });
  #high = create("span", { class: "bound" });
  #grid;
  /** @type {Stage} */
  #stage;
  #legendKey = "";

  /**
   * @param {Stage} stage
   * @param {string} kind such as `max pooling 2×2`
   */
  constructor(stage, kind) {
    this.#stage = stage;
    const strip = stage.shape.length === 1;
    const channels = strip ? 1 : stage.shape[0];
    this.#grid = create("div", { class: strip ? "strip" : "maps", attributes: { role: "group", "aria-label": `${stage.name}, ${shape(stage.shape)}` } });
    this.#grid.style.setProperty("--columns", String(Math.ceil(Math.sqrt(channels))));
    this.#grid.style.setProperty("--wide-columns", String(channels <= 8 ? channels : Math.min(16, Math.ceil(channels / Math.ceil(channels / 8)))));
    for (let channel = 0; channel < channels; channel += 1) this.#addCell(channel, strip);
    const called = NAMES[kind] ?? kind;
    const caption = create("figcaption", {}, [
      create("span", { class: "name", text: called.replace(/ \d.*/, ""), attributes: { title: `${stage.name}: ${called}` } }),
      create("span", { class: "quiet", text: shape(stage.shape) }),
      create("span", { class: "scale" }, [this.#low, this.#legend, this.#high]),
    ]);
    this.element = create("figure", { class: "stage", data: { stage: stage.name } }, [caption, this.#grid]);
    this.#layOut();
  }

  /** @param {number} channel @param {boolean} strip */
  #addCell(channel, strip) {
    const { name } = this.#stage;
    const canvas = create("canvas", {
      data: { channel: String(channel) },
      attributes: {
        role: "application",
        "aria-roledescription": strip ? "strip of units" : "activation map",
        "aria-label": strip ? `${name}: arrow keys pick a unit` : `${name}, channel ${channel}: arrow keys pick a unit`,
        tabindex: channel === 0 ? "0" : "-1",
      },
    });
    const box = create("div", { class: "map" }, [canvas]);
    const image = new ImageData(1, 1);
    this.#cells.push({ canvas, box, image, pixels: new Uint32Array(image.data.buffer) });
    canvas.addEventListener("pointermove", (event) => emit("hover", this.#unitAt(channel, event)));
    canvas.addEventListener("pointerleave", () => emit("hover", null));
    canvas.addEventListener("click", (event) => {
      const unit = this.#unitAt(channel, event);
      if (unit) pick(unit);
    });
    canvas.addEventListener("focus", () => this.#rove(channel));
    canvas.addEventListener("keydown", (event) => this.#key(channel, event));
    this.#grid.append(box);
  }

  get #strip() {
    return this.#stage.shape.length === 1;
  }

  /** Sizes the canvases: a pixel for each unit; a strip has as many rows as it needs. */
  #layOut() {
    let [, height, width] = this.#stage.shape;
    if (this.#strip) {
      const [units] = this.#stage.shape;
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      const room = Math.max(8, Math.floor((this.#grid.clientWidth || 300) / (CELL * rem)));
      height = Math.ceil(units / room);
      width = Math.ceil(units / height);
      this.#grid.style.setProperty("--units", String(width));
    }
    this.#columns = width;
    for (const cell of this.#cells) {
      if (cell.image.width === width && cell.image.height === height) continue;
      cell.image = new ImageData(width, height);
      cell.pixels = new Uint32Array(cell.image.data.buffer);
      cell.canvas.width = width;
      cell.canvas.height = height;
    }
  }

  /** Paints the values of a view of the same network. @param {Stage} stage */
  paint(stage) {
    this.#stage = stage;
    const { values } = stage;
    const own = state.scale === "own" && this.#cells.length > 1;
    const shared = scaleFor(stage.min, stage.max);
    const size = values.length / this.#cells.length;
    this.#cells.forEach(({ canvas, image, pixels }, index) => {
      const part = values.subarray(index * size, (index + 1) * size);
      let scale = shared;
      if (own) {
        const [min, max] = bounds(part);
        scale = stage.min < 0 ? scaleFor(-Math.max(-min, max), Math.max(-min, max)) : scaleFor(min, max);
      }
      for (let at = 0; at < size; at += 1) pixels[at] = pixel(part[at], scale);
      context(canvas).putImageData(image, 0, 0);
    });
    this.#low.textContent = own ? "each" : number(shared.low);
    this.#high.textContent = own ? "its own" : number(shared.high);
    const key = `${shared.table === scaleFor(0, 1).table}`;
    if (key !== this.#legendKey) paintLegend(this.#legend, shared);
    this.#legendKey = key;
    this.mark();
  }

  /** Paints again in the colours or the width of now. */
  repaint() {
    this.#legendKey = "";
    this.#layOut();
    this.paint(this.#stage);
  }

  /** Marks the picked unit if it is here. */
  mark() {
    const { unit } = state;
    for (const { box } of this.#cells) box.classList.remove("picked");
    if (unit?.stage !== this.#stage.name) {
      this.#marker.remove();
      return;
    }
    const cell = this.#cells[this.#strip ? 0 : unit.channel];
    const row = this.#strip ? Math.floor(unit.channel / this.#columns) : unit.row;
    const column = this.#strip ? unit.channel % this.#columns : unit.column;
    const { width, height } = cell.image;
    this.#marker.style.setProperty("left", `${(100 * column) / width}%`);
    this.#marker.style.setProperty("top", `${(100 * row) / height}%`);
    this.#marker.style.setProperty("width", `${100 / width}%`);
    this.#marker.style.setProperty("height", `${100 / height}%`);
    cell.box.classList.add("picked");
    cell.box.append(this.#marker);
    this.#rove(this.#strip ? 0 : unit.channel);
  }

  /** Lets the tab key stop at one map of the figure. @param {number} channel */
  #rove(channel) {
    this.#cells.forEach(({ canvas }, index) => {
      canvas.tabIndex = index === channel ? 0 : -1;
    });
  }

  /** @param {number} channel @param {MouseEvent} event @returns {Unit | null} */
  #unitAt(channel, event) {
    const { canvas, image } = this.#cells[channel];
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const column = Math.min(image.width - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * image.width)));
    const row = Math.min(image.height - 1, Math.max(0, Math.floor(((event.clientY - top) / height) * image.height)));
    return this.#unit(channel, row, column);
  }

  /** @param {number} channel @param {number} row @param {number} column @returns {Unit | null} */
  #unit(channel, row, column) {
    const stage = this.#stage.name;
    if (!this.#strip) return { stage, channel, row, column };
    const index = row * this.#columns + column;
    return index < this.#stage.shape[0] ? { stage, channel: index, row: 0, column: 0 } : null;
  }

  /** @param {number} channel @param {KeyboardEvent} event */
  #key(channel, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const here = state.unit?.stage === this.#stage.name && (this.#strip || state.unit.channel === channel) ? state.unit : null;
    const { width, height } = this.#cells[channel].image;
    const at = this.#strip && here ? here.channel : 0;
    let row = this.#strip ? Math.floor(at / width) : (here ?? state.unit)?.row ?? height >> 1;
    let column = this.#strip ? at % width : (here ?? state.unit)?.column ?? width >> 1;
    let target = channel;
    switch (event.key) {
      case "ArrowLeft":
        if (here) column -= 1;
        break;
      case "ArrowRight":
        if (here) column += 1;
        break;
      case "ArrowUp":
        if (here) row -= 1;
        break;
      case "ArrowDown":
        if (here) row += 1;
        break;
      case "PageUp":
        target -= 1;
        break;
      case "PageDown":
        target += 1;
        break;
      case "Enter":
      case " ":
        break;
      case "Escape":
        pick(null);
        return;
      default:
        return;
    }
    event.preventDefault();
    target = Math.min(this.#cells.length - 1, Math.max(0, target));
    row = Math.min(height - 1, Math.max(0, row));
    column = Math.min(width - 1, Math.max(0, column));
    const unit = this.#unit(target, row, column);
    if (unit) pick(unit);
    if (target !== channel) this.#cells[target].canvas.focus();
  }
}
