// Longer ways through the page, for more than one subject: a comparison, and a training.

import { GARMENTS, PATIENCE, eventually, readableImage, repaint } from "./support.mjs";

/** The network of the comparison. */
export const NETWORK = "fashion-mnist-modern";

/** Pins a coat, shows a pullover, and returns the coat; `NETWORK` reads both correctly. */
export async function compareCoatAndPullover(page) {
  const coat = await readableImage(page, GARMENTS, "coat", NETWORK);
  const pullover = await readableImage(page, GARMENTS, "pullover", NETWORK);
  await show(page, coat);
  await page.click("#pin");
  await show(page, pullover);
  await page.waitForSelector("#compare", { state: "visible" });
  await eventually(page, () => /coat/.test(document.querySelector("#compare-words").textContent));
  return coat;
}

/** Shows a test image through the gallery. */
export async function show(page, { dataset, index, label }) {
  await page.click("#tab-images");
  await page.selectOption("#dataset", dataset);
  await page.selectOption("#class-filter", String(label));
  await repaint(page, () => page.click(`#gallery [data-index="${index}"]`));
}

/** Starts a training on generated digits with the given fields of the form. */
export async function startTraining(page, fields) {
  await page.selectOption('#training [name="dataset"]', "synthetic-digits");
  for (const [name, value] of Object.entries(fields)) {
    await page.fill(`#training [name="${name}"]`, String(value));
  }
  await page.click("#start-training");
  await trainingIs(page, "running");
}

/** Waits until the training has the given status. */
export function trainingIs(page, status, timeout = PATIENCE) {
  return eventually(
    page,
    (status) => document.querySelector("#training-status").dataset.status === status,
    status,
    timeout,
  );
}
