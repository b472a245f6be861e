// Training a network: the form, the progress over server-sent events, and exploring while it learns.

/** @import { Dataset, Training } from "./types.js" */

import { getJson, post, postJson, serverLost } from "./api.js";
import { drawChart } from "./chart.js";
import { button, byId, element } from "./dom.js";
import { datasetName, fillDatasets, refresh } from "./explorer.js";
import { number, percent, sentence } from "./format.js";
import { announce, clearMessage, showError } from "./message.js";
import { chooseNetwork, loadNetworks } from "./networks.js";
import { emit, on, state } from "./state.js";

/** At least this long between two views of a network in training, in milliseconds. */
const PACE = 200;

const form = byId("training", HTMLFormElement);
/** @type {EventSource | null} */
let events = null;
let seenStep = -1;
let lastView = 0;
let frame = 0;

/** @param {Dataset[]} datasets */
export function offerDatasets(datasets) {
  const target = form.elements.namedItem("dataset");
  if (!(target instanceof HTMLSelectElement)) return;
  fillDatasets(target, datasets.filter(({ id }) => id !== "unfamiliar"));
}

/** @param {string} text @returns {number[]} */
function list(text) {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "").map(Number);
}

function settings() {
  const fields = new FormData(form);
  const text = /** @param {string} name */ (name) => String(fields.get(name) ?? "");
  const numbers = ["kernel_size", "epochs", "batch_size", "images", "seed", "learning_rate"];
  return {
    dataset: text("dataset"),
    preset: text("preset"),
    out_channels: list(text("out_channels")),
    hidden_dims: list(text("hidden_dims")),
    ...Object.fromEntries(numbers.map((name) => [name, Number(text(name))])),
  };
}

/** The progress in words. @param {Training} training */
function words(training) {
  const { status, name, dataset, epoch, epochs, step, steps, losses, validation, test_accuracy, message } = training;
  const loss = losses.at(-1)?.[1];
  const accuracy = validation.at(-1)?.accuracy;
  const parts = [];
  if (loss !== undefined) parts.push(`loss ${number(loss)}`);
  if (accuracy !== undefined) parts.push(`validation accuracy ${percent(accuracy)}`);
  if (test_accuracy !== null) parts.push(`test accuracy ${percent(test_accuracy)}`);
  const numbers = parts.length > 0 ? `: ${parts.join(", ")}` : "";
  switch (status) {
    case "idle":
      return "No training has run yet.";
    case "running":
      return `Training on ${datasetName(dataset)}, epoch ${Math.max(1, epoch)} of ${epochs}, step ${step} of ${steps}${numbers}.`;
    case "finished":
      return sentence(`${name} is trained${numbers}.`);
    case "stopped":
      return sentence(`${name} was stopped in epoch ${Math.max(1, epoch)} of ${epochs}${numbers}.`);
    default:
      return message ?? `The training of ${name} failed.`;
  }
}

function paint() {
  frame = 0;
  const { training } = state;
  if (!training) return;
  const { status, synthetic, validation, losses } = training;
  const running = status === "running";
  const target = element("training-status");
  target.dataset.status = status;
  target.dataset.step = String(training.total_step);
  target.textContent = words(training);
  button("start-training").disabled = running;
  button("stop-training").disabled = !running;
  button("explore-training").disabled = training.network === null;
  const progress = byId("training-progress", HTMLProgressElement);
  progress.hidden = status === "idle";
  progress.value = training.total_step / Math.max(1, training.epochs * training.steps);
  if (losses.length > 0 || running) drawChart(element("loss-chart"), training);
  const seconds = validation.at(-1)?.seconds;
  const facts = [];
  if (seconds !== undefined) facts.push(`${seconds.toFixed(1)} s for the last epoch`);
  if (synthetic) facts.push("the images are generated drawings, not the real data set");
  if (training.message && status !== "failed") facts.push(training.message);
  element("training-numbers").textContent = facts.join(" · ");
}

/** Looks again at a network whose weights have changed, at a bounded pace. */
function follow() {
  const { training } = state;
  if (!training?.network || training.network !== state.network || training.total_step === seenStep) return;
  const wait = lastView + PACE - performance.now();
  if (wait > 0) {
    setTimeout(follow, wait);
    return;
  }
  seenStep = training.total_step;
  lastView = performance.now();
  refresh();
}

/** @param {Training} training */
async function receive(training) {
  const before = state.training;
  state.training = training;
  emit("training");
  if (before?.status !== training.status || before.network !== training.network) {
    if (before && training.status !== "running" && training.status !== "idle") announce(words(training));
    try {
      if (training.network) await loadNetworks();
    } catch (error) {
      showError(error);
    }
  }
  follow();
}

/** Listens to the progress of the training, now and after the server was away. */
export function listen() {
  events?.close();
  const source = new EventSource("/api/training/events");
  events = source;
  source.addEventListener("state", ({ data }) => receive(JSON.parse(data)));
  source.addEventListener("error", () => {
    // The browser tries again by itself, unless the server refused the stream.
    getJson("/api/networks").then(
      () => {
        if (source.readyState === EventSource.CLOSED && events === source) setTimeout(listen, 3000);
      },
      () => serverLost(),
    );
  });
}

// Sigmoid needs larger steps than ReLU.
form.addEventListener("change", ({ target }) => {
  const rate = form.elements.namedItem("learning_rate");
  if (!(target instanceof HTMLSelectElement) || target.name !== "preset" || !(rate instanceof HTMLInputElement)) return;
  rate.value = target.value === "classic" ? "0.9" : "0.1";
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearMessage();
  button("start-training").disabled = true;
  button("stop-training").disabled = false;
  element("training-status").textContent = "Preparing the training images…";
  try {
    await postJson("/api/training", settings());
    await loadNetworks();
  } catch (error) {
    showError(error);
    paint();
  }
});
button("stop-training").addEventListener("click", async () => {
  try {
    const answer = await post("/api/training/stop", null);
    receive(await answer.json());
  } catch (error) {
    showError(error);
  }
});
button("explore-training").addEventListener("click", () => {
  const id = state.training?.network;
  if (!id || !chooseNetwork(id)) return;
  element("layers-section").scrollIntoView({ block: "start" });
});
on("training", () => {
  frame ||= requestAnimationFrame(paint);
});
