// Errors in a sentence, and what is announced to screen readers.

import { button, debounced, element } from "./dom.js";

let lost = false;

/** @param {string} text */
function show(text) {
  element("message").textContent = text;
  element("toast").hidden = text === "";
}

/** Shows what went wrong; requests that were given up are not errors. @param {unknown} error */
export function showError(error) {
  if (error instanceof Error) {
    if (error.name === "AbortError" || lost) return;
    show(error.message);
  }
}

export function clearMessage() {
  if (!lost) show("");
}

/** The server did not answer. @returns {boolean} whether this is news */
export function connectionLost() {
  if (lost) return false;
  show("The server does not answer: it may have been stopped. This page goes on as soon as it is back.");
  lost = true;
  return true;
}

export function connectionBack() {
  lost = false;
  show("");
}

let announcement = "";
const speak = debounced(600, () => {
  element("announcer").textContent = announcement;
});

/** Announces politely, and only what has stood for a moment. @param {string} text */
export function announce(text) {
  announcement = text;
  speak();
}

button("dismiss-message").addEventListener("click", () => show(""));
