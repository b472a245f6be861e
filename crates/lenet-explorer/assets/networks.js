// The choice of a network: pretrained, from a file, or trained in the page.

/** @import { Network } from "./types.js" */

import { MAX_BODY, getJson, post, url } from "./api.js";
import { byId, create, element, input, select } from "./dom.js";
import { refresh } from "./explorer.js";
import { bytes, count, percent } from "./format.js";
import { announce, showError } from "./message.js";
import { emit, network, on, state } from "./state.js";

/** @type {[Network["kind"], string][]} */
const GROUPS = [
  ["pretrained", "Pretrained"],
  ["file", "Your files"],
  ["trained", "Trained here"],
];
const choice = select("network");

/** Asks for the networks again, and keeps the chosen one. */
export async function loadNetworks() {
  /** @type {{networks: Network[]}} */
  const { networks } = await getJson("/api/networks");
  state.networks = networks;
  choice.replaceChildren(
    ...GROUPS.flatMap(([kind, label]) => {
      const members = networks.filter((member) => member.kind === kind);
      if (members.length === 0) return [];
      const options = members.map(({ id, name }) => create("option", { text: name, attributes: { value: id } }));
      return [create("optgroup", { attributes: { label } }, options)];
    }),
  );
  choice.value = state.network;
  emit("networks");
}

/** The network to begin with: the one that reads digits best. @returns {string} */
export function firstNetwork() {
  const digits = state.networks.filter(({ dataset }) => dataset === "mnist");
  const [best] = digits.sort((a, b) => (b.test_accuracy ?? 0) - (a.test_accuracy ?? 0));
  return (best ?? state.networks[0])?.id ?? "";
}

/** @param {string} id @returns {boolean} whether the network exists */
export function chooseNetwork(id) {
  if (!state.networks.some((member) => member.id === id)) return false;
  const changed = state.network !== id;
  state.network = id;
  choice.value = id;
  if (changed) {
    state.explained = null;
    emit("network");
    refresh(true);
  }
  return true;
}

function describe() {
  const chosen = network();
  const link = byId("download-weights", HTMLAnchorElement);
  if (!chosen) return;
  const facts = [`${count(chosen.parameters)} parameters`];
  if (chosen.test_accuracy !== null) facts.push(`${percent(chosen.test_accuracy)} test accuracy`);
  if (state.training?.status === "running" && state.training.network === chosen.id) facts.push("in training");
  element("network-facts").textContent = facts.join(" · ");
  link.href = `/api/networks/${encodeURIComponent(chosen.id)}/weights`;
  link.setAttribute("aria-label", `Download the weights of ${chosen.name}`);
}

/** Sends weights of one's own to the server, and explores them. @param {File} file */
export async function openWeights(file) {
  if (file.size > MAX_BODY) {
    showError(new Error(`${file.name} has ${bytes(file.size)}: weights may have at most ${bytes(MAX_BODY)}.`));
    return;
  }
  byId("own-weights", HTMLDetailsElement).open = false;
  try {
    const parameters = { name: file.name, preset: select("network-preset").value, dataset: select("network-dataset").value };
    const answer = await post(url("/api/networks", parameters), file);
    /** @type {Network} */
    const made = await answer.json();
    await loadNetworks();
    chooseNetwork(made.id);
    announce(`${made.name} opened`);
  } catch (error) {
    showError(error);
  }
}

choice.addEventListener("change", () => chooseNetwork(choice.value));
input("network-file").addEventListener("change", ({ currentTarget }) => {
  if (!(currentTarget instanceof HTMLInputElement)) return;
  const file = currentTarget.files?.[0];
  if (file) openWeights(file);
  currentTarget.value = "";
});
on("network", describe);
on("networks", describe);
