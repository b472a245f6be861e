// The canvas to draw on: pointer and keyboard, brush and eraser, undo and clear. Light strokes on black, as in
// the images of the MNIST family.

import { button, canvas, context, element, input } from "./dom.js";
import { show } from "./explorer.js";
import { announce } from "./message.js";

/** @typedef {{erase: boolean, size: number, points: number[]} | "clear"} Stroke */

const area = canvas("drawing");
const cursor = element("drawing-cursor");
const ink = context(area, { willReadFrequently: true });
const SIZE = area.width;
/** What an arrow key moves, in pixels of the canvas; a quarter of it with the shift key. */
const KEY_STEP = 12;

/** @type {Stroke[]} */
let strokes = [];
/** @type {{erase: boolean, size: number, points: number[]} | null} */
let current = null;
/** @type {number | null} */
let pointer = null;
let frame = 0;
const pen = { x: SIZE / 2, y: SIZE / 2, down: false };

const erasing = () => button("erase").getAttribute("aria-pressed") === "true";
const brush = () => Number(input("brush").value);

function wipe() {
  ink.fillStyle = "#000";
  ink.fillRect(0, 0, SIZE, SIZE);
}

/**
 * Draws a stroke from one of its points on; a stroke of one point is a dot.
 * @param {{erase: boolean, size: number, points: number[]}} stroke
 * @param {number} from
 */
function trace({ erase, size, points }, from) {
  const start = Math.max(0, from - 2);
  ink.strokeStyle = erase ? "#000" : "#fff";
  ink.lineWidth = size;
  ink.lineCap = "round";
  ink.lineJoin = "round";
  ink.beginPath();
  ink.moveTo(points[start], points[start + 1]);
  for (let index = start; index < points.length; index += 2) ink.lineTo(points[index], points[index + 1]);
  ink.stroke();
}

function redraw() {
  wipe();
  const from = strokes.lastIndexOf("clear") + 1;
  for (const stroke of strokes.slice(from)) if (stroke !== "clear") trace(stroke, 0);
}

function updateTools() {
  const empty = strokes.length === 0 || strokes.at(-1) === "clear";
  button("undo").disabled = strokes.length === 0;
  button("clear").disabled = empty;
  element("drawing-hint").hidden = !empty;
}

/** Shows the drawing to the network at the next frame. */
function changed() {
  updateTools();
  if (frame) return;
  frame = requestAnimationFrame(() => {
    frame = 0;
    const { data } = ink.getImageData(0, 0, SIZE, SIZE);
    const body = new Uint8Array(SIZE * SIZE);
    for (let index = 0; index < body.length; index += 1) body[index] = data[4 * index];
    show({ source: "drawing", body, width: SIZE, height: SIZE, title: "Your drawing", reference: null, label: null }, false);
  });
}

/** @param {number} x @param {number} y */
function begin(x, y) {
  current = { erase: erasing(), size: brush(), points: [x, y] };
  strokes.push(current);
  trace(current, 0);
  changed();
}

/** @param {number[]} points */
function extend(points) {
  if (!current || points.length === 0) return;
  const from = current.points.length;
  current.points.push(...points);
  trace(current, from);
  changed();
}

/** @param {PointerEvent} event @returns {[number, number]} */
function position({ clientX, clientY }) {
  const { left, top, width, height } = area.getBoundingClientRect();
  return [((clientX - left) * SIZE) / width, ((clientY - top) * SIZE) / height];
}

/** Shows the brush where it would draw. @param {number} x @param {number} y */
function moveCursor(x, y) {
  cursor.hidden = false;
  cursor.style.setProperty("left", `${(100 * x) / SIZE}%`);
  cursor.style.setProperty("top", `${(100 * y) / SIZE}%`);
  cursor.style.setProperty("width", `${(100 * brush()) / SIZE}%`);
}

area.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || pointer !== null) return;
  event.preventDefault();
  area.focus({ preventScroll: true });
  pointer = event.pointerId;
  area.setPointerCapture(pointer);
  begin(...position(event));
});

area.addEventListener("pointermove", (event) => {
  const [x, y] = position(event);
  if (event.pointerType !== "touch") moveCursor(x, y);
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  extend((events.length > 0 ? events : [event]).flatMap(position));
});

/** @param {PointerEvent} event */
function release(event) {
  if (event.pointerId !== pointer) return;
  pointer = null;
  current = null;
}
area.addEventListener("pointerup", release);
area.addEventListener("pointercancel", release);
area.addEventListener("lostpointercapture", release);
area.addEventListener("pointerleave", () => {
  if (pointer === null) cursor.hidden = true;
});

function penUp() {
  if (pen.down) {
    pen.down = false;
    current = null;
  }
  cursor.classList.remove("down");
}

/** @param {number} x @param {number} y */
function movePen(x, y) {
  pen.x = Math.min(SIZE, Math.max(0, x));
  pen.y = Math.min(SIZE, Math.max(0, y));
  moveCursor(pen.x, pen.y);
  if (pen.down) extend([pen.x, pen.y]);
}

area.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.shiftKey ? KEY_STEP / 4 : KEY_STEP;
  switch (event.key) {
    case "ArrowLeft":
      movePen(pen.x - step, pen.y);
      break;
    case "ArrowRight":
      movePen(pen.x + step, pen.y);
      break;
    case "ArrowUp":
      movePen(pen.x, pen.y - step);
      break;
    case "ArrowDown":
      movePen(pen.x, pen.y + step);
      break;
    case " ":
    case "Enter":
      if (pen.down) {
        penUp();
        announce("Pen lifted");
      } else {
        pen.down = true;
        cursor.classList.add("down");
        moveCursor(pen.x, pen.y);
        begin(pen.x, pen.y);
        announce("Pen down");
      }
      break;
    default:
      return;
  }
  event.preventDefault();
});
area.addEventListener("blur", () => {
  penUp();
  cursor.hidden = true;
});

function undo() {
  penUp();
  if (strokes.pop() === undefined) return;
  redraw();
  changed();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement && event.target.type !== "range";
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z" && !typing && !element("panel-draw").hidden) {
    event.preventDefault();
    undo();
  }
});
button("undo").addEventListener("click", undo);
button("clear").addEventListener("click", () => {
  penUp();
  strokes.push("clear");
  redraw();
  changed();
});
button("erase").addEventListener("click", ({ currentTarget }) => {
  if (currentTarget instanceof HTMLElement) currentTarget.setAttribute("aria-pressed", String(!erasing()));
});

wipe();
updateTools();
