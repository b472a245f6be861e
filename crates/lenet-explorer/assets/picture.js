// Pictures: from a file, dropped, pasted, or taken with the camera.

import { MAX_BODY } from "./api.js";
import { button, canvas, context, element, input, select } from "./dom.js";
import { refresh, show } from "./explorer.js";
import { bytes } from "./format.js";
import { showError } from "./message.js";
import { state } from "./state.js";
import { openTab } from "./tabs.js";
import { openWeights } from "./networks.js";

/** File names that weights have. */
const WEIGHTS = /\.(safetensors|bpk|mpk|pt|pth|bin)$/i;

/** Shows the picture itself, as large as fits. @param {Blob} file */
async function preview(file) {
  const target = canvas("picture-preview");
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, 560 / Math.max(bitmap.width, bitmap.height));
    target.width = Math.max(1, Math.round(bitmap.width * scale));
    target.height = Math.max(1, Math.round(bitmap.height * scale));
    context(target).drawImage(bitmap, 0, 0, target.width, target.height);
    target.hidden = false;
    element("picture-hint").hidden = true;
  } catch {
    // Some formats can be read by the server and not by the browser.
    target.hidden = true;
    element("picture-hint").hidden = false;
  }
}

/** @param {Blob} file @param {string} name */
function open(file, name) {
  if (file.size > MAX_BODY) {
    showError(new Error(`${name} has ${bytes(file.size)}: pictures may have at most ${bytes(MAX_BODY)}; make it smaller first.`));
    return;
  }
  openTab("picture");
  preview(file);
  show({ source: "picture", body: file, width: 0, height: 0, title: name, reference: null, label: null });
}

/** A dropped or pasted file: weights if its name says so, else a picture. @param {File} file */
function receive(file) {
  if (WEIGHTS.test(file.name)) openWeights(file);
  else open(file, file.name || "Pasted picture");
}

input("picture-file").addEventListener("change", ({ currentTarget }) => {
  if (!(currentTarget instanceof HTMLInputElement)) return;
  const file = currentTarget.files?.[0];
  if (file) open(file, file.name);
  currentTarget.value = "";
});
select("polarity").addEventListener("change", () => {
  if (state.image?.source === "picture") refresh(true);
});

// Dragging: `dragenter` and `dragleave` also come for every element that is passed on the way.
const overlay = element("drop-overlay");
let depth = 0;
/** @param {DragEvent} event */
const carriesFile = (event) => event.dataTransfer?.types.includes("Files") ?? false;

document.addEventListener("dragenter", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  depth += 1;
  overlay.hidden = false;
});
document.addEventListener("dragover", (event) => {
  if (carriesFile(event)) event.preventDefault();
});
document.addEventListener("dragleave", (event) => {
  if (!carriesFile(event)) return;
  depth = Math.max(0, depth - 1);
  overlay.hidden = depth === 0;
});
document.addEventListener("drop", (event) => {
  depth = 0;
  overlay.hidden = true;
  if (!carriesFile(event) && !event.dataTransfer?.files.length) return;
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file) receive(file);
});
document.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (!file) return;
  event.preventDefault();
  receive(file);
});

// The camera.
const dialog = /** @type {HTMLDialogElement} */ (element("camera-dialog"));
const video = /** @type {HTMLVideoElement} */ (element("camera-video"));

function stopCamera() {
  if (video.srcObject instanceof MediaStream) for (const track of video.srcObject.getTracks()) track.stop();
  video.srcObject = null;
}

/** Why there is no picture from the camera, in a sentence. @param {unknown} error */
function cameraSentence(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "The browser was not allowed to use the camera: allow it in the address bar, or choose a file.";
  if (name === "NotFoundError") return "This computer has no camera: choose a file, or drop a picture.";
  return "The camera is not available: choose a file, or drop a picture.";
}

button("camera").addEventListener("click", async () => {
  try {
    // Missing where the page is neither on this computer nor encrypted.
    if (!navigator.mediaDevices) throw new Error("no camera");
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    dialog.showModal();
    await video.play();
  } catch (error) {
    dialog.close();
    showError(new Error(cameraSentence(error)));
  }
});
button("camera-take").addEventListener("click", () => {
  const shot = document.createElement("canvas");
  const scale = Math.min(1, 1024 / Math.max(video.videoWidth, video.videoHeight, 1));
  shot.width = Math.max(1, Math.round(video.videoWidth * scale));
  shot.height = Math.max(1, Math.round(video.videoHeight * scale));
  context(shot).drawImage(video, 0, 0, shot.width, shot.height);
  shot.toBlob((blob) => {
    if (blob) open(blob, "Picture from the camera");
    dialog.close();
  }, "image/png");
});
button("camera-cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", stopCamera);
