// The curve of a training: loss of the batches, and accuracy on the validation images.

/** @import { Training } from "./types.js" */

import { number, percent } from "./format.js";

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 480;
const HEIGHT = 220;
const FRAME = { left: 40, right: 440, top: 26, bottom: 190 };
/** Points that the curve has at most. */
const POINTS = 400;

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function make(tag, attributes, text) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Means of neighbours, so that the curve has at most `POINTS` points. @param {[number, number][]} losses */
function thin(losses) {
  const size = Math.ceil(losses.length / POINTS);
  /** @type {[number, number][]} */
  const thinned = [];
  for (let start = 0; start < losses.length; start += size) {
    const part = losses.slice(start, start + size);
    const mean = part.reduce((sum, [, loss]) => sum + loss, 0) / part.length;
    thinned.push([part[part.length - 1][0], mean]);
  }
  return thinned;
}

/** Means around every point: the trend without the noise of the batches. @param {[number, number][]} points */
function smooth(points) {
  const reach = Math.ceil(points.length / 40);
  return points.map(([step], index) => {
    const around = points.slice(Math.max(0, index - reach), index + reach + 1);
    return /** @type {[number, number]} */ ([step, around.reduce((sum, [, loss]) => sum + loss, 0) / around.length]);
  });
}

/**
 * Draws the curve into an element, and describes it.
 * @param {HTMLElement} target
 * @param {Training} training
 */
export function drawChart(target, training) {
  const losses = training.losses.filter(([, loss]) => Number.isFinite(loss));
  const thinned = thin(losses);
  const total = Math.max(1, training.epochs * training.steps, losses.at(-1)?.[0] ?? 0);
  const top = niceTop(Math.max(0.1, ...thinned.map(([, loss]) => loss)));
  const x = /** @param {number} step */ (step) => FRAME.left + (step / total) * (FRAME.right - FRAME.left);
  const y = /** @param {number} part */ (part) => FRAME.bottom - Math.min(1, Math.max(0, part)) * (FRAME.bottom - FRAME.top);
  const line = /** @param {[number, number][]} points */ (points) => points.map(([step, part]) => `${x(step).toFixed(1)},${y(part).toFixed(1)}`).join(" ");
  const scaled = /** @param {[number, number][]} points */ (points) => line(points.map(([step, loss]) => [step, loss / top]));

  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  for (let tick = 0; tick <= 4; tick += 1) {
    const part = tick / 4;
    svg.append(make("line", { class: "grid", x1: FRAME.left, x2: FRAME.right, y1: y(part), y2: y(part) }));
    svg.append(make("text", { class: "tick loss-text", x: FRAME.left - 6, y: y(part) + 4, "text-anchor": "end" }, number(top * part)));
    svg.append(make("text", { class: "tick accuracy-text", x: FRAME.right + 6, y: y(part) + 4 }, `${100 * part} %`));
  }
  for (let epoch = 0; epoch <= training.epochs && training.steps > 0; epoch += Math.max(1, Math.ceil(training.epochs / 10))) {
    svg.append(make("text", { class: "tick", x: x(epoch * training.steps), y: HEIGHT - 15, "text-anchor": "middle" }, String(epoch)));
  }
  svg.append(make("polyline", { class: "loss-raw", points: scaled(thinned) }));
  svg.append(make("polyline", { class: "loss", points: scaled(smooth(thinned)) }));
  const validation = training.validation.map(({ epoch, accuracy }) => /** @type {[number, number]} */ ([epoch * training.steps, accuracy]));
  svg.append(make("polyline", { class: "accuracy", points: line(validation) }));
  for (const [step, accuracy] of validation) svg.append(make("circle", { class: "accuracy-dot", cx: x(step), cy: y(accuracy), r: 3.5 }));
  svg.append(make("text", { class: "tick", x: (FRAME.left + FRAME.right) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, "epoch"));
  svg.append(make("text", { class: "tick loss-text", x: FRAME.left, y: 13 }, "— loss of the batches"));
  svg.append(make("text", { class: "tick accuracy-text", x: FRAME.right, y: 13, "text-anchor": "end" }, "validation accuracy ┅"));
  target.replaceChildren(svg);
  target.setAttribute("aria-label", describe(losses, training));
}

/** @param {[number, number][]} losses @param {Training} training */
function describe(losses, { validation }) {
  if (losses.length === 0) return "Training loss and validation accuracy: no step has been taken yet";
  const [[, from]] = losses;
  const to = losses[losses.length - 1][1];
  const last = validation.at(-1);
  const accuracy = last ? `; validation accuracy ${percent(last.accuracy)} after epoch ${last.epoch}` : "";
  return `Training loss from ${number(from)} to ${number(to)}${accuracy}`;
}

/** The smallest round number that is not below. @param {number} value */
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value) ?? 10;
  return step * power;
}
