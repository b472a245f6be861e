// Pictures that are dropped, pasted or chosen, and what is said about files that are none.

import assert from "node:assert/strict";

import { drop, paste, photograph } from "./gestures.mjs";
import { GARMENTS, message, painted, predicts, readableImage, repaint, suite } from "./support.mjs";

const NETWORK = { link: "#network=fashion-mnist-modern" };

suite("Pictures", (test) => {
  test("a dropped picture of a coat is read as coat", NETWORK, async (page) => {
    await drop(page, await coat(page));
    await predicts(page, "coat");
    assert.match(await page.textContent("#rule"), /invert|dark on light/i);
  });

  test("a pasted picture is read", NETWORK, async (page) => {
    await paste(page, await coat(page));
    await predicts(page, "coat");
  });

  test("a chosen file is read", NETWORK, async (page) => {
    const { name, type, bytes } = await coat(page);
    await page.click("#tab-picture");
    await page.setInputFiles("#picture-file", { name, mimeType: type, buffer: bytes });
    await predicts(page, "coat");
  });

  test("the polarity can be set", NETWORK, async (page) => {
    await drop(page, await coat(page));
    await predicts(page, "coat");
    const inverted = await painted(page, "#seen");
    await page.click("#tab-picture");
    await repaint(page, () => page.selectOption("#polarity", "light-on-dark"));
    assert.notEqual(await painted(page, "#seen"), inverted);
    await repaint(page, () => page.selectOption("#polarity", "dark-on-light"));
    assert.equal(await painted(page, "#seen"), inverted);
  });

  const REFUSED = { ...NETWORK, allow: /status of 4\d\d/ };

  test("a file that is not a picture gets a sentence", REFUSED, async (page) => {
    await drop(page, { name: "notes.txt", type: "text/plain", bytes: Buffer.from("This is not a picture.") });
    assert.match(await message(page), /picture.*\.$/is);
  });

  test("a truncated picture gets a sentence, and the next picture is read", REFUSED, async (page) => {
    const file = await coat(page);
    await drop(page, { ...file, bytes: file.bytes.subarray(0, file.bytes.length / 2) });
    assert.match(await message(page), /picture.*\.$/is);
    await drop(page, file);
    await predicts(page, "coat");
  });
});

async function coat(page) {
  const image = await readableImage(page, GARMENTS, "coat", "fashion-mnist-modern");
  return { name: "coat.png", type: "image/png", bytes: await photograph(page, image) };
}
