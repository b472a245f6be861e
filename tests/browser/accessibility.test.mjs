// What axe-core finds: names, roles, contrast, order, in light and in dark.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { compareCoatAndPullover, startTraining, trainingIs } from "./scenes.mjs";
import { GARMENTS, suite } from "./support.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core");
const LINK = `#network=fashion-mnist-modern&image=${GARMENTS}:5`;

suite("Accessibility", (test) => {
  for (const colorScheme of ["light", "dark"]) {
    const options = { link: LINK, script: AXE, colorScheme };

    test(`each tab, ${colorScheme}`, options, async (page) => {
      for (const tab of ["draw", "picture", "images"]) {
        await page.click(`#tab-${tab}`);
        await page.waitForSelector(`#panel-${tab}`, { state: "visible" });
        await complies(page);
      }
    });

    test(`a picked unit, ${colorScheme}`, options, async (page) => {
      await page.click('#layers figure[data-stage="conv2.activation"] canvas[data-channel="4"]');
      await page.waitForSelector("#unit-kernel", { state: "visible" });
      await complies(page);
    });

    test(`the comparison, ${colorScheme}`, options, async (page) => {
      await compareCoatAndPullover(page);
      await complies(page);
    });

    test(`a training, while it runs and after it, ${colorScheme}`, options, async (page) => {
      await startTraining(page, { epochs: 100, images: 60000 });
      await complies(page);
      await page.click("#stop-training");
      await trainingIs(page, "stopped");
      await complies(page);
    });

    test(`a message, ${colorScheme}`, { ...options, allow: /status of 4\d\d/ }, async (page) => {
      await page.click("#tab-picture");
      const file = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("not a picture") };
      await page.setInputFiles("#picture-file", file);
      await page.waitForSelector("#message:not(:empty)");
      await complies(page);
    });
  }

  test("a narrow window", { link: LINK, script: AXE, viewport: { width: 360, height: 740 } }, complies);

  test("everything is reached with the keyboard", { link: LINK }, async (page) => {
    const reached = new Set();
    for (let presses = 0; presses < 300; presses += 1) {
      await page.keyboard.press("Tab");
      const id = await page.evaluate(() => document.activeElement?.id);
      if (id) reached.add(id);
    }
    const unreached = await page.evaluate((reached) => {
      const elements = document.querySelectorAll("button[id], select[id], input[id], a[id], canvas[id][tabindex='0']");
      return [...elements]
        .filter((element) => element.checkVisibility() && !element.disabled && element.tabIndex >= 0)
        .map(({ id }) => id)
        .filter((id) => !reached.includes(id));
    }, [...reached]);
    assert.deepEqual(unreached, []);
  });
});

/** Runs axe-core on the page as it is. */
async function complies(page) {
  const violations = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document);
    return violations.map(({ id, help, nodes }) => ({
      rule: `${id}: ${help}`,
      elements: nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} — ${failureSummary}`),
    }));
  });
  assert.deepEqual(violations, []);
}
