// The tabs of the input: one panel at a time, moved between by arrow keys.

import { button, element } from "./dom.js";

const NAMES = ["draw", "picture", "images"];

/** @type {(() => void)[]} */
const openers = [];

/** Opens a tab. @param {string} name @param {boolean} [focus] */
export function openTab(name, focus = false) {
  for (const other of NAMES) {
    const tab = button(`tab-${other}`);
    const open = other === name;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    element(`panel-${other}`).hidden = !open;
    if (open && focus) tab.focus();
  }
  if (name === "images") for (const opener of openers) opener();
}

/** Calls `action` when the tab of the test images is opened. @param {() => void} action */
export function onImagesOpened(action) {
  openers.push(action);
}

for (const [index, name] of NAMES.entries()) {
  const tab = button(`tab-${name}`);
  tab.addEventListener("click", () => openTab(name));
  tab.addEventListener("keydown", ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step) openTab(NAMES[(index + step + NAMES.length) % NAMES.length], true);
  });
}
