// Two images side by side.

import assert from "node:assert/strict";

import { NETWORK, compareCoatAndPullover } from "./scenes.mjs";
import { GARMENTS, eventually, repaint, suite } from "./support.mjs";

suite("Comparison", (test) => {
  test("a coat and a pullover side by side", { link: `#network=${NETWORK}` }, async (page) => {
    const coat = await compareCoatAndPullover(page);
    const words = await page.textContent("#compare-words");
    assert.match(words, /coat/);
    assert.match(words, /pullover/);
    assert.match(words, /\d/);
    assert.ok((await page.locator("#compare-maps canvas").count()) > 10);
    await eventually(page, (part) => location.hash.includes(part), `compare=${GARMENTS}:${coat.index}`);
    await page.click("#unpin");
    await page.waitForSelector("#compare", { state: "hidden" });
    await eventually(page, () => !location.hash.includes("compare="));
  });

  test("a drawing is compared with the picture before it", { link: "#network=mnist-modern" }, async (page) => {
    await page.click("#tab-images");
    await page.selectOption("#dataset", "unfamiliar");
    await page.waitForSelector("#gallery [data-index]");
    await repaint(page, () => page.click("#gallery [data-index] >> nth=0"));
    await page.click("#pin");
    await repaint(page, () => page.click("#gallery [data-index] >> nth=1"));
    await page.waitForSelector("#compare", { state: "visible" });
    await eventually(page, () => document.querySelector("#compare-words").textContent.length > 20);
  });
});
