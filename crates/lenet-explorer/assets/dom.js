// Small helpers around the document.

/**
 * The element with an id that the page is known to contain.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/** @param {string} id */
export const button = (id) => byId(id, HTMLButtonElement);
/** @param {string} id */
export const canvas = (id) => byId(id, HTMLCanvasElement);
/** @param {string} id */
export const element = (id) => byId(id, HTMLElement);
/** @param {string} id */
export const input = (id) => byId(id, HTMLInputElement);
/** @param {string} id */
export const select = (id) => byId(id, HTMLSelectElement);

/**
 * @param {HTMLCanvasElement} target
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export function context(target, settings) {
  const found = target.getContext("2d", settings);
  if (!found) throw new Error("the browser offers no 2D canvas");
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{class?: string, text?: string, data?: Record<string, string>, attributes?: Record<string, string>}} [options]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function create(tag, options = {}, children = []) {
  const made = document.createElement(tag);
  if (options.class) made.className = options.class;
  if (options.text !== undefined) made.textContent = options.text;
  Object.assign(made.dataset, options.data ?? {});
  for (const [name, value] of Object.entries(options.attributes ?? {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Replaces the options of a select and keeps the choice if it still exists.
 * @param {HTMLSelectElement} target
 * @param {{value: string, text: string}[]} options
 */
export function fillSelect(target, options) {
  const chosen = target.value;
  target.replaceChildren(...options.map(({ value, text }) => create("option", { text, attributes: { value } })));
  if (options.some(({ value }) => value === chosen)) target.value = chosen;
}

/**
 * Calls `action` once no call has come for `delay` milliseconds.
 * @param {number} delay
 * @param {() => void} action
 */
export function debounced(delay, action) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(action, delay);
  };
}
