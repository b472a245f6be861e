// The heart of the page: an image and a network make a view, and everything else shows that view.

/** @import { Dataset, Image, View } from "./types.js" */

import { Latest, postForValues, url } from "./api.js";
import { decode } from "./base64.js";
import { fillSelect, select } from "./dom.js";
import { sentence } from "./format.js";
import { clearMessage, showError } from "./message.js";
import { emit, state } from "./state.js";

const views = new Latest(showError);
let painted = 0;

/**
 * What a network makes of an image.
 * @param {string} network
 * @param {Image} image
 * @param {AbortSignal} signal
 * @returns {Promise<View>}
 */
export async function request(network, image, signal) {
  const { source, width, height } = image;
  const parameters = source === "picture" ? { polarity: select("polarity").value } : { width, height };
  const path = url("/api/view", { network, source, ...parameters });
  const { header, values } = await postForValues(path, image.body, signal);
  for (const stage of header.stages) {
    const size = stage.shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    stage.values = values.subarray(stage.offset, stage.offset + size);
  }
  const [input] = header.stages;
  const seen = Uint8Array.from(input.values, (value) => Math.round(255 * value));
  return { ...header, seen, size: [input.shape[1], input.shape[2]], image };
}

/**
 * Asks for a view of the image; while the answer is on its way, only the newest question is kept.
 * @param {boolean} [replace] whether a view that is on its way is of no use any more
 */
export function refresh(replace = false) {
  const { image, network } = state;
  if (!image || !network) return;
  views.submit(async (signal) => {
    const view = await request(network, image, signal);
    return () => {
      state.view = view;
      emit("view");
      painted += 1;
      document.body.dataset.views = String(painted);
      document.body.dataset.ready = "true";
    };
  }, replace);
}

/** Shows another image. @param {Image} image @param {boolean} [replace] false while it is being drawn */
export function show(image, replace = true) {
  clearMessage();
  state.image = image;
  refresh(replace);
}

/** @param {import("./types.js").TestImage} image @returns {Image} */
export function fromTestImage({ dataset, index, class: name, width, height, pixels }) {
  return {
    source: "pixels",
    body: decode(pixels),
    width,
    height,
    title: sentence(`${datasetName(dataset)} ${index}: ${name}`),
    reference: `${dataset}:${index}`,
    label: { name },
  };
}

/** The image of a view again, as pixels that need no conversion. @param {View} view @returns {Image} */
export function asSeen({ image, seen, size: [height, width] }) {
  return { ...image, source: "pixels", body: seen, width, height };
}

/** @type {Map<string, string>} */
const datasetNames = new Map();

/** @param {{id: string, name: string}[]} datasets */
export function rememberDatasets(datasets) {
  for (const { id, name } of datasets) datasetNames.set(id, name);
}

/** @param {string} id */
export function datasetName(id) {
  return datasetNames.get(id) ?? id;
}

/**
 * Offers data sets; the first one chosen is on this computer.
 * @param {HTMLSelectElement} target
 * @param {Dataset[]} datasets
 */
export function fillDatasets(target, datasets) {
  const isNew = target.options.length === 0;
  fillSelect(target, datasets.map(({ id, name, available }) => ({
    value: id,
    text: available ? sentence(name) : `${sentence(name)} (to download)`,
  })));
  const present = datasets.find(({ available }) => available);
  if (isNew && present) target.value = present.id;
}
