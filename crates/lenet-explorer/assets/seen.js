// The image as the network sees it, with the part that a unit sees outlined.

import { GREY, paint } from "./colour.js";
import { canvas, context, element } from "./dom.js";
import { on, state } from "./state.js";
import { fieldOf } from "./units.js";

/** Pixels of the canvas for a pixel of the image. */
const ZOOM = 12;
const target = canvas("seen");
const small = document.createElement("canvas");
/** @type {import("./types.js").Unit | null} */
let hovered = null;

function draw() {
  const { view, unit } = state;
  if (!view) return;
  const [height, width] = view.size;
  paint(small, view.stages[0].values, width, height, GREY);
  if (target.width !== width * ZOOM || target.height !== height * ZOOM) {
    target.width = width * ZOOM;
    target.height = height * ZOOM;
  }
  const pen = context(target);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, target.width, target.height);
  const shown = hovered ?? unit;
  if (shown) outline(pen, fieldOf(view, shown));
  if (unit) {
    const { top, left, height: rows, width: columns } = fieldOf(view, unit);
    target.dataset.field = [top, left, rows, columns].join(",");
  } else {
    delete target.dataset.field;
  }
}

/**
 * Dims what lies outside, and outlines what is inside.
 * @param {CanvasRenderingContext2D} pen
 * @param {{top: number, left: number, height: number, width: number}} field
 */
function outline(pen, { top, left, height, width }) {
  const [x, y, right, bottom] = [left * ZOOM, top * ZOOM, (left + width) * ZOOM, (top + height) * ZOOM];
  pen.fillStyle = "rgb(10 8 40 / 55%)";
  pen.fillRect(0, 0, target.width, y);
  pen.fillRect(0, bottom, target.width, target.height - bottom);
  pen.fillRect(0, y, x, bottom - y);
  pen.fillRect(right, y, target.width - right, bottom - y);
  // What sees only the padding has no outline.
  if (height === 0 || width === 0) return;
  pen.lineWidth = 8;
  pen.strokeStyle = "#10082e";
  pen.strokeRect(x + 4, y + 4, right - x - 8, bottom - y - 8);
  pen.lineWidth = 4;
  pen.strokeStyle = "#ffd166";
  pen.strokeRect(x + 3, y + 3, right - x - 6, bottom - y - 6);
}

function caption() {
  const { view } = state;
  if (!view) return;
  element("image-title").textContent = view.image.title;
  element("rule").textContent = view.rule;
}

on("view", () => {
  draw();
  caption();
});
on("unit", draw);
on("hover", (unit) => {
  hovered = unit;
  draw();
});
