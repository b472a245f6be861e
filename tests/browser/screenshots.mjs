// Writes the pictures of the README: `node screenshots.mjs FOLDER`. Run with `LENET_DATA_DIR`, it shows real images.

import { mkdir } from "node:fs/promises";
import path from "node:path";

import { SEVEN, drawWithMouse } from "./gestures.mjs";
import { GARMENTS, eventually, predicts, readableImage, startBrowser, startExplorer, visit } from "./support.mjs";

const folder = process.argv[2];
if (!folder) throw new Error("usage: node screenshots.mjs FOLDER");
await mkdir(folder, { recursive: true });

const explorer = await startExplorer();
const browser = await startBrowser();
try {
  await shoot("explorer-light.png", { viewport: { width: 1440, height: 900 } }, seven);
  await shoot("explorer-dark.png", { viewport: { width: 1440, height: 900 }, colorScheme: "dark" }, coat);
  await shoot("explorer-narrow.png", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 }, seven);
} finally {
  await browser.close();
  await explorer.stop();
}

async function shoot(name, options, scene) {
  await visit(browser, explorer.address, { link: "#network=mnist-modern", ...options }, async (page) => {
    await scene(page);
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.waitForTimeout(300);
    await page.screenshot({ path: path.join(folder, name) });
    console.log(path.join(folder, name));
  });
}

/** A seven that was drawn, and a unit that looks at its corner. */
async function seven(page) {
  await drawWithMouse(page, SEVEN);
  await predicts(page, "7");
  await pick(page, "conv2.activation", 3);
}

/** A coat, and a unit that looks at its middle. */
async function coat(page) {
  const { dataset, index } = await readableImage(page, GARMENTS, "coat", "fashion-mnist-modern");
  await page.evaluate((image) => {
    location.hash = `#network=fashion-mnist-modern&image=${image}`;
  }, `${dataset}:${index}`);
  await predicts(page, "coat");
  await pick(page, "conv2.activation", 5);
}

async function pick(page, stage, channel) {
  await page.click(`#layers figure[data-stage="${stage}"] canvas[data-channel="${channel}"]`);
  await eventually(page, () => document.querySelector("#seen").dataset.field);
}
