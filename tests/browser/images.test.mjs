// The test images: by class, at random, misclassified, and from the gallery.

import assert from "node:assert/strict";

import { GARMENTS, api, eventually, repaint, suite } from "./support.mjs";

const NETWORK = { link: "#network=fashion-mnist-modern" };

suite("Test images", (test) => {
  test("the gallery shows the chosen class, and a click explores an image", NETWORK, async (page) => {
    await choose(page, "2");
    const { images } = await api(page, `images/${GARMENTS}?class=2&count=1`);
    const first = `#gallery [data-index="${images[0].index}"]`;
    await page.waitForSelector(first);
    await repaint(page, () => page.click(first));
    await eventually(page, (image) => location.hash.includes(image), `image=${GARMENTS}:${images[0].index}`);
  });

  test("a random image of the chosen class is shown", NETWORK, async (page) => {
    await choose(page, "9");
    await repaint(page, () => page.click("#random-image"));
    const image = await shown(page, GARMENTS);
    assert.equal(image.label, 9);
  });

  test("a misclassified image is one that the network takes for another class", NETWORK, async (page) => {
    await choose(page, "");
    await repaint(page, () => page.click("#misclassified-image"));
    const image = await shown(page, GARMENTS);
    assert.notEqual(await page.getAttribute("#prediction", "data-class"), String(image.label));
  });

  test("all data sets that are available can be chosen", NETWORK, async (page) => {
    await page.click("#tab-images");
    const { datasets } = await api(page, "datasets");
    const offered = await page.$$eval("#dataset option", (options) => options.map(({ value }) => value));
    assert.deepEqual(offered, datasets.map(({ id }) => id));
    for (const id of ["synthetic", "synthetic-digits", "unfamiliar"]) {
      await page.selectOption("#dataset", id);
      await page.click(`#gallery [data-dataset="${id}"][data-index="0"]`);
      await shown(page, id);
    }
  });
});

async function choose(page, label) {
  await page.click("#tab-images");
  await page.selectOption("#dataset", GARMENTS);
  await page.selectOption("#class-filter", label);
}

/** The image of a data set that is shown, by the address. */
async function shown(page, dataset) {
  // The address follows after a moment.
  await page.waitForTimeout(500);
  const index = await eventually(page, (dataset) => {
    const image = new URLSearchParams(location.hash.slice(1)).get("image")?.split(":");
    return image?.[0] === dataset && image[1];
  }, dataset);
  return api(page, `images/${dataset}/${index}`);
}
