// The address reproduces what is seen.

import assert from "node:assert/strict";

import { SEVEN, drawWithMouse } from "./gestures.mjs";
import { NETWORK, compareCoatAndPullover } from "./scenes.mjs";
import { GARMENTS, becomes, eventually, message, painted, predicts, ready, repaint, suite } from "./support.mjs";

suite("Link", (test) => {
  test("a reload shows the same test image, network, unit and prediction", {
    link: `#network=fashion-mnist-classic&image=${GARMENTS}:12`,
  }, async (page) => {
    await page.click('#layers figure[data-stage="conv2.pool"] canvas[data-channel="3"]');
    await eventually(page, () => location.hash.includes("unit=conv2.pool/3/"));
    await reproduces(page);
  });

  test("a reload shows the same drawing", { link: "#network=mnist-modern" }, async (page) => {
    await repaint(page, () => drawWithMouse(page, SEVEN));
    await predicts(page, "7");
    await eventually(page, () => location.hash.includes("image=drawing:"));
    await reproduces(page);
  });

  test("a reload shows the same comparison", { link: `#network=${NETWORK}` }, async (page) => {
    await compareCoatAndPullover(page);
    const words = await page.textContent("#compare-words");
    await reproduces(page);
    await becomes(page, () => document.querySelector("#compare-words").textContent, words);
  });

  test("another link in the same tab is followed", {
    link: `#network=fashion-mnist-modern&image=${GARMENTS}:1`,
  }, async (page) => {
    const earlier = await painted(page, "#seen");
    await repaint(page, () => page.evaluate((image) => {
      location.hash = `#network=fashion-mnist-classic&image=${image}`;
    }, `${GARMENTS}:2`));
    assert.notEqual(await painted(page, "#seen"), earlier);
    assert.equal(await page.inputValue("#network"), "fashion-mnist-classic");
  });

  test("a link to something that is missing gets a sentence", {
    link: "#network=no-such-network&image=nothing:1",
    allow: /status of 4\d\d/,
  }, async (page) => {
    assert.match(await message(page), /\.$/);
    await page.waitForSelector("#layers figure[data-stage=conv1] canvas[data-channel]");
  });
});

/** Reloads the page, and compares everything that can be seen. */
async function reproduces(page) {
  // The address follows after a moment, so that it does not change with every point of a stroke.
  await page.waitForTimeout(500);
  const expected = await page.evaluate(state);
  await page.reload();
  await ready(page);
  await becomes(page, state, expected);
}

/** Runs in the page. */
function state() {
  return {
    hash: location.hash,
    network: document.querySelector("#network").value,
    seen: document.querySelector("#seen").toDataURL(),
    field: document.querySelector("#seen").dataset.field,
    unit: document.querySelector("#unit").textContent,
    prediction: document.querySelector("#prediction").textContent,
    probabilities: document.querySelector("#probabilities").textContent,
  };
}
