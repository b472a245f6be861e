// What the page knows, and who wants to hear of changes. Only `explorer.js`, `networks.js` and the module that
// a field belongs to write to it.

/** @import { Image, Network, Training, Unit, View } from "./types.js" */

export const state = {
  /** @type {Network[]} */
  networks: [],
  /** @type {string} */
  network: "",
  /** @type {Image | null} */
  image: null,
  /** @type {View | null} */
  view: null,
  /** Image A of a comparison. @type {Image | null} */
  pinned: null,
  /** @type {Unit | null} */
  unit: null,
  /** The class to explain; null: the predicted one. @type {number | null} */
  explained: null,
  /** @type {"shared" | "own"} */
  scale: "shared",
  /** @type {Training | null} */
  training: null,
};

/** @typedef {"networks" | "network" | "view" | "pinned" | "unit" | "hover" | "explained" | "scale" | "training" | "theme"} Topic */

/** @type {Map<Topic, ((detail?: any) => void)[]>} */
const listeners = new Map();

/**
 * @param {Topic} topic
 * @param {(detail?: any) => void} listener
 */
export function on(topic, listener) {
  const known = listeners.get(topic) ?? [];
  known.push(listener);
  listeners.set(topic, known);
}

/**
 * @param {Topic} topic
 * @param {unknown} [detail]
 */
export function emit(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

/** The chosen network. @returns {Network | undefined} */
export function network() {
  return state.networks.find(({ id }) => id === state.network);
}

document.addEventListener("themechange", () => emit("theme"));
