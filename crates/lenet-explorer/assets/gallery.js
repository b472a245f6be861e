// The test images: by class, at random, misclassified, or page by page.

/** @import { Dataset, TestImage } from "./types.js" */

import { Latest, getJson, url } from "./api.js";
import { decode } from "./base64.js";
import { GREY, paint } from "./colour.js";
import { button, create, element, fillSelect, input, select } from "./dom.js";
import { fillDatasets, fromTestImage, rememberDatasets, show } from "./explorer.js";
import { count } from "./format.js";
import { showError } from "./message.js";
import { network, on, state } from "./state.js";
import { onImagesOpened } from "./tabs.js";

const PAGE = 24;

/** @type {Dataset[]} */
let datasets = [];
let offset = 0;
let total = 0;
const pages = new Latest((error) => {
  element("gallery").replaceChildren();
  element("gallery-position").textContent = "";
  showError(error);
});

export async function loadDatasets() {
  ({ datasets } = await getJson("/api/datasets"));
  rememberDatasets(datasets);
  fillDatasets(select("dataset"), datasets);
  fillClasses();
  return datasets;
}

function fillClasses() {
  const classes = datasets.find(({ id }) => id === select("dataset").value)?.classes ?? [];
  const options = classes.map((name, index) => ({ value: String(index), text: name }));
  fillSelect(select("class-filter"), [{ value: "", text: "all" }, ...options]);
}

/** @param {string} dataset whether it can be shown without a download */
export function isAvailable(dataset) {
  return datasets.some(({ id, available }) => id === dataset && available);
}

/** @param {string} dataset @param {number} index @returns {Promise<TestImage>} */
export function loadTestImage(dataset, index) {
  return getJson(`/api/images/${encodeURIComponent(dataset)}/${index}`);
}

/** @param {Record<string, string | number>} parameters @param {AbortSignal} [signal] @returns {Promise<{total: number, images: TestImage[]}>} */
function list(parameters, signal) {
  const path = `/api/images/${encodeURIComponent(select("dataset").value)}`;
  return getJson(url(path, { class: select("class-filter").value, ...parameters }), signal);
}

/** @param {TestImage} image */
function thumbnail(image) {
  const picture = create("canvas");
  paint(picture, Float32Array.from(decode(image.pixels), (byte) => byte / 255), image.width, image.height, GREY);
  const predicted = image.predicted === undefined ? undefined : network()?.classes[image.predicted];
  const children = [picture, create("span", { text: image.class })];
  if (predicted !== undefined) children.push(create("span", { class: "wrong", text: `read as ${predicted}` }));
  const made = create("button", { data: { index: String(image.index), dataset: image.dataset }, attributes: { type: "button" } }, children);
  made.addEventListener("click", () => show(fromTestImage(image)));
  return create("li", {}, [made]);
}

function loadPage() {
  if (element("panel-images").hidden) return;
  const misclassified = input("gallery-misclassified").checked ? state.network : "";
  pages.submit(async (signal) => {
    const page = await list({ misclassified, offset, count: PAGE }, signal);
    return () => {
      total = page.total;
      element("gallery").replaceChildren(...page.images.map(thumbnail));
      const last = Math.min(offset + PAGE, total);
      element("gallery-position").textContent = total === 0 ? "no such image" : `${count(offset + 1)}–${count(last)} of ${count(total)}`;
      button("gallery-previous").disabled = offset === 0;
      button("gallery-next").disabled = last >= total;
      mark();
    };
  }, true);
}

/** Marks the image that is shown. */
function mark() {
  for (const made of element("gallery").querySelectorAll("button")) {
    const shown = `${made.dataset.dataset}:${made.dataset.index}` === state.view?.image.reference;
    if (shown) made.setAttribute("aria-current", "true");
    else made.removeAttribute("aria-current");
  }
}

function fromStart() {
  offset = 0;
  loadPage();
}

/** Shows an image chosen by the server at random. @param {string} misclassified a network, or nothing */
async function random(misclassified) {
  try {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const { images } = await list({ misclassified, order: "random", seed, count: 1 });
    const [image] = images;
    if (!image) throw new Error("There is no such image: choose another class or data set.");
    show(fromTestImage(image));
  } catch (error) {
    showError(error);
  }
}

/** Chooses the data set of a network, so that its own test images come first. */
function follow() {
  input("gallery-misclassified").checked = false;
  const dataset = network()?.dataset;
  if (dataset && dataset !== select("dataset").value && isAvailable(dataset)) {
    select("dataset").value = dataset;
    select("class-filter").value = "";
  }
  fillClasses();
  fromStart();
}

select("dataset").addEventListener("change", () => {
  select("class-filter").value = "";
  fillClasses();
  fromStart();
});
select("class-filter").addEventListener("change", fromStart);
input("gallery-misclassified").addEventListener("change", fromStart);
button("random-image").addEventListener("click", () => random(""));
button("misclassified-image").addEventListener("click", () => random(state.network));
button("gallery-previous").addEventListener("click", () => {
  offset = Math.max(0, offset - PAGE);
  loadPage();
});
button("gallery-next").addEventListener("click", () => {
  if (offset + PAGE < total) offset += PAGE;
  loadPage();
});
onImagesOpened(loadPage);
on("network", follow);
on("view", mark);
