// The address of a view: what is behind the # says which network looks at which image.

/** @import { Image, Unit } from "./types.js" */

import { decode, encodeUrl } from "./base64.js";
import { button, debounced } from "./dom.js";
import { fromTestImage, show } from "./explorer.js";
import { loadTestImage } from "./gallery.js";
import { announce, showError } from "./message.js";
import { chooseNetwork } from "./networks.js";
import { emit, network, on, state } from "./state.js";

/** @param {Image} image @param {Uint8Array} seen */
function reference(image, seen) {
  return image.reference ?? `${image.source === "drawing" ? "drawing" : "pixels"}:${encodeUrl(seen)}`;
}

/** The fragment of what is shown. @returns {string} */
function fragment() {
  const { view, pinned, unit, explained } = state;
  if (!view) return "";
  const parts = [`network=${encodeURIComponent(state.network)}`, `image=${reference(view.image, view.seen)}`];
  if (unit) parts.push(`unit=${unit.stage}/${unit.channel}/${unit.row}/${unit.column}`);
  if (explained !== null) parts.push(`class=${explained}`);
  if (pinned?.body instanceof Uint8Array) parts.push(`compare=${reference(pinned, pinned.body)}`);
  return `#${parts.join("&")}`;
}

/** @param {string} text @returns {Unit | null} */
function unitFrom(text) {
  const [stage, ...numbers] = text.split("/");
  const [channel, row = 0, column = 0] = numbers.map(Number);
  const whole = [channel, row, column].every((value) => Number.isInteger(value) && value >= 0);
  return stage && whole ? { stage, channel, row, column } : null;
}

/** @param {string} text as in a link @returns {Promise<Image>} */
async function imageFrom(text) {
  const colon = text.indexOf(":");
  const [kind, rest] = [text.slice(0, colon), text.slice(colon + 1)];
  if (kind !== "drawing" && kind !== "pixels") return fromTestImage(await loadTestImage(kind, Number(rest)));
  const [height, width] = network()?.image_size ?? [28, 28];
  let body;
  try {
    body = decode(rest);
  } catch {
    throw new Error("The image in this link is damaged: it is not base64.");
  }
  const square = Math.sqrt(body.length);
  const size = body.length === height * width ? [height, width] : [square, square];
  if (!Number.isInteger(size[0]) || size[0] === 0) {
    throw new Error(`The image in this link has ${body.length} pixels: expected ${height} × ${width}.`);
  }
  const title = kind === "drawing" ? "A drawing from a link" : "An image from a link";
  return { source: "pixels", body, width: size[1], height: size[0], title, reference: text, label: null };
}

/**
 * Shows what the address says.
 * @param {() => Promise<Image>} [other] what to show if it says nothing that can be shown
 */
export async function restore(other) {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const [id, image] = [parameters.get("network"), parameters.get("image")];
  /** @type {unknown} */
  let failure = null;
  if (!id && !image && !other) return;
  if (id && !chooseNetwork(id)) failure = new Error(`The network ${id} of this link is not here: another one is shown.`);
  const wanted = parameters.get("class");
  state.explained = wanted !== null && /^\d+$/.test(wanted) && Number(wanted) < (network()?.classes.length ?? 0) ? Number(wanted) : null;
  state.unit = unitFrom(parameters.get("unit") ?? "");
  emit("explained");
  let shown = false;
  try {
    const compared = parameters.get("compare");
    state.pinned = compared ? await imageFrom(compared) : null;
    emit("pinned");
    if (image) {
      show(await imageFrom(image));
      shown = true;
    }
  } catch (error) {
    failure = error;
  }
  if (!shown && other) show(await other());
  if (failure) showError(failure);
}

/** Keeps the address current, and follows it. */
export function keep() {
  const write = () => {
    const text = fragment();
    if (text && text !== location.hash) history.replaceState(null, "", text);
  };
  // Browsers limit how often the address changes.
  let resting = true;
  const whenAtRest = debounced(250, () => {
    resting = true;
    write();
  });
  const later = () => {
    resting = false;
    whenAtRest();
  };
  // A reload right after a click shows the unit that was picked.
  on("unit", () => {
    if (resting) write();
    later();
  });
  for (const topic of /** @type {const} */ (["view", "explained", "pinned", "network"])) on(topic, later);
  addEventListener("hashchange", () => restore());
  button("copy-link").addEventListener("click", async ({ currentTarget }) => {
    const text = fragment();
    if (text) history.replaceState(null, "", text);
    try {
      await navigator.clipboard.writeText(location.href);
      announce("The link is copied.");
      if (!(currentTarget instanceof HTMLElement)) return;
      currentTarget.textContent = "Copied ✓";
      setTimeout(() => {
        currentTarget.textContent = "Copy link";
      }, 1500);
    } catch {
      showError(new Error("The browser does not allow copying: the link is in the address bar."));
    }
  });
}
