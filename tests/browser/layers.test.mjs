// The maps of every layer: units and what they see, colour scales, and the pixels that speak for a class.

import assert from "node:assert/strict";

import { GARMENTS, api, becomes, eventually, painted, repaint, repainted, suite } from "./support.mjs";

const IMAGE = { link: `#network=fashion-mnist-modern&image=${GARMENTS}:5` };

/** Kernel, stride and padding of the layers up to each stage of the modern network. */
const CONV1 = { kernel: 5, stride: 1, padding: 2 };
const CONV2 = { kernel: 5, stride: 1, padding: 0 };
const POOL = { kernel: 2, stride: 2, padding: 0 };
const BEFORE = {
  conv1: [CONV1],
  "conv1.pool": [CONV1, POOL],
  "conv2.activation": [CONV1, POOL, CONV2],
  "conv2.pool": [CONV1, POOL, CONV2, POOL],
};

suite("Layers", (test) => {
  test("every stage is shown, with a map for each channel", IMAGE, async (page) => {
    const stages = await page.$$eval("#layers figure[data-stage]", (figures) =>
      figures.map((figure) => [figure.dataset.stage, figure.querySelectorAll("canvas[data-channel]").length]));
    for (const expected of [
      ["conv1", 6], ["conv1.activation", 6], ["conv1.pool", 6],
      ["conv2", 16], ["conv2.activation", 16], ["conv2.pool", 16],
    ]) {
      assert.deepEqual(stages.find(([name]) => name === expected[0]), expected);
    }
    for (const name of ["dense1", "dense1.activation", "dense2", "dense2.activation", "dense3"]) {
      assert.ok(stages.some(([stage]) => stage === name), `${name} is missing: ${JSON.stringify(stages)}`);
    }
    assert.equal(await page.locator("#probabilities button").count(), 10);
  });

  test("a unit shows where it looks, as the arithmetic of its layers says", IMAGE, async (page) => {
    for (const [stage, channel, row, column, side] of [
      ["conv1", 0, 0, 0, 28],
      ["conv1", 5, 14, 9, 28],
      ["conv1.pool", 2, 13, 13, 14],
      ["conv2.activation", 3, 4, 5, 10],
      ["conv2.pool", 15, 0, 4, 5],
    ]) {
      await pick(page, stage, channel, [(column + 0.5) / side, (row + 0.5) / side]);
      const [top, bottom] = rowsSeen(BEFORE[stage], row);
      const [left, right] = rowsSeen(BEFORE[stage], column);
      const expected = [top, left, bottom - top + 1, right - left + 1].join();
      await becomes(page, () => document.querySelector("#seen").dataset.field, expected);
      const unit = await page.textContent("#unit");
      for (const part of [stage, `channel ${channel}`, `row ${row}`, `column ${column}`]) {
        assert.ok(unit.includes(part), `${part} is not in: ${unit}`);
      }
      await page.waitForSelector("#unit-kernel", { state: "visible" });
    }
  });

  test("a unit can be picked with the keyboard", IMAGE, async (page) => {
    const map = '#layers figure[data-stage="conv1"] canvas[data-channel="1"]';
    await page.focus(map);
    await page.keyboard.press("ArrowDown");
    const first = await eventually(page, () => document.querySelector("#seen").dataset.field);
    for (let row = 0; row < 5; row += 1) await page.keyboard.press("ArrowDown");
    await eventually(page, (field) => document.querySelector("#seen").dataset.field !== field, first);
  });

  test("a dense unit sees the whole image", IMAGE, async (page) => {
    await page.click('#layers figure[data-stage="dense1.activation"] canvas[data-channel]');
    await eventually(page, () => document.querySelector("#unit").textContent.includes("dense1"));
    const field = await page.getAttribute("#seen", "data-field");
    assert.ok(field === null || field === "0,0,28,28", field);
  });

  test("maps have a colour scale of their own or share one", IMAGE, async (page) => {
    const maps = () => page.$$eval('#layers figure[data-stage="conv2.activation"] canvas[data-channel]', (canvases) =>
      canvases.map((canvas) => canvas.toDataURL()));
    const shared = await maps();
    await page.click("#scale");
    const own = await maps();
    assert.notDeepEqual(own, shared);
    await page.click("#scale");
    assert.deepEqual(await maps(), shared);
  });

  test("the pixels that speak for a class depend on the class and the method", IMAGE, async (page) => {
    await page.selectOption("#explain-class", "0");
    let shown = await painted(page, "#explanation");
    for (const [choice, value] of [["class", "8"], ["method", "occlusion"], ["class", "0"], ["method", "gradient"]]) {
      await page.selectOption(`#explain-${choice}`, value);
      shown = await repainted(page, "#explanation", shown);
    }
  });

  test("a row of the probabilities picks its class", IMAGE, async (page) => {
    await page.click("#probabilities button >> nth=3");
    await eventually(page, () => document.querySelector("#explain-class").value === "3");
  });

  test("another network shows its own layers", IMAGE, async (page) => {
    await repaint(page, () => page.selectOption("#network", "fashion-mnist-classic"));
    const { networks } = await api(page, "networks");
    const classic = networks.find(({ id }) => id === "fashion-mnist-classic");
    assert.equal(await page.locator("#probabilities button").count(), classic.classes.length);
    await eventually(page, () => location.hash.includes("network=fashion-mnist-classic"));
  });
});

async function pick(page, stage, channel, [x, y]) {
  const map = page.locator(`#layers figure[data-stage="${stage}"] canvas[data-channel="${channel}"]`);
  await map.scrollIntoViewIfNeeded();
  const { width, height } = await map.boundingBox();
  await map.click({ position: { x: x * width, y: y * height } });
}

/** First and last row of the image that a unit in `row` sees, from the last layer back to the first. */
function rowsSeen(layers, row) {
  let [first, last] = [row, row];
  for (const { kernel, stride, padding } of [...layers].reverse()) {
    first = first * stride - padding;
    last = last * stride - padding + kernel - 1;
  }
  return [Math.max(first, 0), Math.min(last, 27)];
}
