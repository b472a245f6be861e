// The page begins here: the networks and data sets are asked for, then the view of the address is shown, or that
// of a first test image.

import { onReconnect } from "./api.js";
import { element } from "./dom.js";
import { fromTestImage, refresh, show } from "./explorer.js";
import { loadDatasets, loadTestImage } from "./gallery.js";
import { keep, restore } from "./link.js";
import { showError } from "./message.js";
import { chooseNetwork, firstNetwork, loadNetworks } from "./networks.js";
import { state } from "./state.js";
import { listen, offerDatasets } from "./training.js";
import "./compare.js";
import "./drawing.js";
import "./explain.js";
import "./layers.js";
import "./picture.js";
import "./prediction.js";
import "./seen.js";
import "./unit.js";

/** The first test image that is available, or else an empty one. */
async function first() {
  for (const dataset of ["mnist", "synthetic-digits"]) {
    try {
      return fromTestImage(await loadTestImage(dataset, 0));
    } catch {
      // The data set is not on this computer: the next one is part of the program.
    }
  }
  const body = new Uint8Array(28 * 28);
  return { source: /** @type {const} */ ("pixels"), body, width: 28, height: 28, title: "An empty image", reference: null, label: null };
}

/** Links inside the page move the focus and leave the address as it is. */
function keepAddress() {
  for (const link of document.querySelectorAll("a[data-section], a.skip")) {
    link.addEventListener("click", (event) => {
      const target = element((link.getAttribute("href") ?? "").slice(1));
      event.preventDefault();
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "start" });
    });
  }
}

async function load() {
  const [datasets] = await Promise.all([loadDatasets(), loadNetworks()]);
  offerDatasets(datasets);
  if (!chooseNetwork(state.network)) chooseNetwork(firstNetwork());
}

keepAddress();
onReconnect(async () => {
  try {
    await load();
    listen();
    refresh(true);
  } catch (error) {
    showError(error);
  }
});
try {
  await load();
  keep();
  if (!(await restore())) show(await first());
  listen();
} catch (error) {
  showError(error);
}
