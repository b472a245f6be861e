// The page begins here: the networks and data sets are asked for, then the view of the address is shown, or that
// of a first test image.

import { onReconnect } from "./api.js";
import { element } from "./dom.js";
import { fromTestImage, refresh } from "./explorer.js";
import { isAvailable, loadDatasets, loadTestImage } from "./gallery.js";
import { keep, restore } from "./link.js";
import { showError } from "./message.js";
import { chooseNetwork, firstNetwork, loadNetworks } from "./networks.js";
import { network, state } from "./state.js";
import { listen, offerDatasets } from "./training.js";
import "./compare.js";
import "./drawing.js";
import "./explain.js";
import "./layers.js";
import "./picture.js";
import "./prediction.js";
import "./seen.js";
import "./unit.js";

/** The first test image of the network's data set if that is on this computer, else one that is part of the program. */
async function first() {
  const dataset = network()?.dataset ?? "mnist";
  const generated = dataset === "fashion-mnist" ? "synthetic" : "synthetic-digits";
  return fromTestImage(await loadTestImage(isAvailable(dataset) ? dataset : generated, 0));
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
  await restore(first);
  listen();
} catch (error) {
  showError(error);
}
