// Units: what they are called, where they are, and what they see at the edges.

import assert from "node:assert/strict";

import { trainingIs } from "./scenes.mjs";
import { api, becomes, greys, settle, suite } from "./support.mjs";

const IMAGE = { link: "#network=mnist-modern&image=synthetic-digits:7" };

suite("Units", (test) => {
  test("a unit of the flatten layer sees what its unit of the last pooling sees", IMAGE, async (page) => {
    // Unit 38 of 16 maps of 5×5: channel 1, row 2, column 3. A pooled unit sees 16×16 pixels, 4 apart, from −2 on.
    await follow(page, "flatten/38/0/0");
    await becomes(page, () => document.querySelector("#seen").dataset.field, "6,10,16,16");
    const facts = await page.textContent("#unit-facts");
    assert.match(facts, /^flatten · unit 38 \(conv2\.pool · channel 1 · row 2, column 3\) · value /);
    await follow(page, "conv2.pool/1/2/3");
    await becomes(page, () => document.querySelector("#seen").dataset.field, "6,10,16,16");
  });

  test("a unit that sees only the padding says so", IMAGE, async (page) => {
    const training = { dataset: "synthetic-digits", preset: "tweakable", kernel_size: 1, epochs: 1, images: 256, batch_size: 64 };
    const started = await page.request.post(new URL("/api/training", page.url()).href, { data: training });
    assert.equal(started.status(), 202, await started.text());
    await trainingIs(page, "finished", 60_000);
    const { network } = await started.json();
    const { networks } = await api(page, "networks");
    const [{ shape }] = networks.find(({ id }) => id === network).layers;
    assert.deepEqual(shape.slice(1), [32, 32], "expected a first convolution that only adds the padding");
    await follow(page, "conv1/0/0/0", network);
    await becomes(page, () => document.querySelector("#seen").dataset.field, "0,0,0,0");
    // The image is black there, and an outline would be yellow.
    const corner = (await greys(page, "#seen")).slice(0, 12);
    assert.ok(Math.max(...corner) < 100, `outlined: ${corner}`);
    assert.match(await page.textContent("#unit-facts"), / · sees only the padding$/);
    assert.equal(await page.isVisible("#unit-patch"), false);
    // Its neighbour inside sees one pixel.
    await follow(page, "conv1/0/2/2", network);
    await becomes(page, () => document.querySelector("#seen").dataset.field, "0,0,1,1");
    assert.equal(await page.isVisible("#unit-patch"), true);
  });

  test("pointing at the maps does not move them", IMAGE, async (page) => {
    for (const width of [1280, 900, 360]) {
      await page.setViewportSize({ width, height: 900 });
      const map = page.locator('#layers figure[data-stage="conv1"] canvas[data-channel="0"]');
      await map.scrollIntoViewIfNeeded();
      await page.mouse.move(1, 1);
      const before = await map.boundingBox();
      for (const [x, y] of [[0.5, 0.5], [0.1, 0.9]]) {
        await page.mouse.move(before.x + x * before.width, before.y + y * before.height);
        await becomes(page, () => document.querySelector("#layers-help").textContent.startsWith("conv1 · "), true);
        assert.deepEqual(await map.boundingBox(), before, `at a width of ${width}`);
      }
    }
  });

  test("numbers are written as people do", IMAGE, async (page) => {
    const written = await page.evaluate(async () => {
      const { number } = await import("/assets/format.js");
      return [0, 0.5, -0.123456, 0.001, 6.4e-17, -2.5e-4, 9.99e-10, 999.7, 1234.4, -98765, 2.5e12].map(number);
    });
    assert.deepEqual(written, [
      "0", "0.5", "−0.123", "0.001", "6.4·10⁻¹⁷", "−2.5·10⁻⁴", "1.0·10⁻⁹", "1,000", "1,234", "−98,765", "2.5·10¹²",
    ]);
    await follow(page, "probabilities/0/0/0");
    await becomes(page, () => /value [^e]+$/.test(document.querySelector("#unit-facts").textContent), true);
  });

  test("names are written as people do", IMAGE, async (page) => {
    const stage = '#layers figure[data-stage="conv1.activation"] .name';
    assert.equal(await page.textContent(stage), "ReLU");
    assert.equal(await page.getAttribute(stage, "title"), "conv1.activation: ReLU");
  });

  test("the heat map names the class that it explains", IMAGE, async (page) => {
    await page.selectOption("#explain-class", "3");
    await becomes(page, () => document.querySelector("#explanation-words").textContent.includes("the logit of “3”"), true);
    await page.selectOption("#explain-method", "occlusion");
    await becomes(page, () => /the logit of “3” falls/.test(document.querySelector("#explanation-words").textContent), true);
  });

  test("a page that is loaded again at once shows the unit that was just picked", IMAGE, async (page) => {
    await settle(page);
    await page.locator('#layers figure[data-stage="conv1"] canvas[data-channel="2"]').click();
    const facts = await page.textContent("#unit-facts");
    assert.match(facts, /^conv1 · channel 2/);
    await page.reload();
    await becomes(page, () => document.querySelector("#unit-facts").textContent, facts);
  });
});

/** Opens the link to a unit. */
async function follow(page, unit, network = "mnist-modern") {
  const link = `#network=${network}&image=synthetic-digits:7&unit=${unit}`;
  await page.evaluate((link) => location.assign(link), link);
  await becomes(page, (stage) => document.querySelector("#unit-facts").textContent.startsWith(`${stage} · `), true, unit.split("/")[0]);
}
