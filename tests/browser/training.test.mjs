// A training in the page: start, watch, explore while it runs, stop, and take the weights along.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { startTraining, trainingIs } from "./scenes.mjs";
import { api, becomes, eventually, painted, repaint, repainted, settle, suite } from "./support.mjs";

const IMAGE = { link: "#network=mnist-modern&image=synthetic-digits:7" };
const MAP = '#layers figure[data-stage="conv1"] canvas[data-channel="0"]';

/** Long enough to be stopped by hand. */
const LONG = { epochs: 100, images: 60000, batch_size: 64 };

suite("Training", (test) => {
  test("start, see the loss fall, explore it meanwhile, stop, download, upload", IMAGE, async (page) => {
    const pretrained = await painted(page, MAP);
    await startTraining(page, LONG);

    // The maps change while the network learns.
    await page.click("#explore-training");
    const early = await repainted(page, MAP, pretrained);
    await repainted(page, MAP, early);

    // The loss falls: the mean of the last losses is below half of the first ones.
    const losses = await firstLosses(page, 200);
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(mean(losses.slice(-10)) < mean(losses.slice(0, 10)) / 2, losses.join(" "));
    await page.waitForSelector("#loss-chart svg, #loss-chart canvas");

    await page.click("#stop-training");
    await trainingIs(page, "stopped");

    // The trained network is explored, also after the training.
    const { network } = await api(page, "training");
    assert.equal(await page.inputValue("#network"), network);
    await settle(page);
    const probabilities = await page.textContent("#probabilities");

    // Its weights are downloaded and give the same probabilities when they are opened again.
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download-weights")]);
    assert.match(download.suggestedFilename(), /\.safetensors$/);
    const buffer = await readFile(await download.path());
    await page.selectOption("#network", "mnist-classic");
    await repaint(page, () =>
      page.setInputFiles("#network-file", { name: "mine.safetensors", mimeType: "application/octet-stream", buffer }));
    await eventually(page, () => document.querySelector("#network").selectedOptions[0].textContent.includes("mine"));
    await becomes(page, () => document.querySelector("#probabilities").textContent, probabilities);
  });

  test("a training that ends by itself reports its test accuracy", IMAGE, async (page) => {
    await startTraining(page, { epochs: 2, images: 5000, batch_size: 32 });
    await trainingIs(page, "finished", 60_000);
    const { test_accuracy: accuracy, validation } = await api(page, "training");
    assert.equal(validation.length, 2);
    assert.ok(accuracy > 0.5, String(accuracy));
    const percent = (100 * accuracy).toFixed(1);
    await eventually(page, (percent) => document.querySelector("#training-section").textContent.includes(percent), percent);
  });

  test("a second training is refused with a sentence", { ...IMAGE, allow: /status of 409/ }, async (page) => {
    await startTraining(page, LONG);
    const other = await page.context().newPage();
    await other.goto(page.url());
    await trainingIs(other, "running");
    await other.close();
    const answer = await page.request.post(new URL("/api/training", page.url()).href, {
      data: { dataset: "synthetic-digits" },
    });
    assert.equal(answer.status(), 409);
    assert.match((await answer.json()).error, /\.$/);
    await page.click("#stop-training");
    await trainingIs(page, "stopped");
  });

  test("settings that give no network get a sentence", { ...IMAGE, allow: /status of 422/ }, async (page) => {
    await page.selectOption('#training [name="dataset"]', "synthetic-digits");
    await page.fill('#training [name="kernel_size"]', "15");
    await page.click("#start-training");
    await eventually(page, () => /kernel/i.test(document.querySelector("#message").textContent));
  });
});

/** The losses of the training so far, once there are `count` of them. */
async function firstLosses(page, count) {
  for (const deadline = Date.now() + 60_000; ; await page.waitForTimeout(200)) {
    const { losses } = await api(page, "training");
    if (losses.length >= count) return losses.map(([, loss]) => loss);
    assert.ok(Date.now() < deadline, `there are only ${losses.length} losses`);
  }
}
