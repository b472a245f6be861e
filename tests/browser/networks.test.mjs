// The pretrained networks, and weights of one's own.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { GARMENTS, api, eventually, message, repaint, suite } from "./support.mjs";

const PRETRAINED = ["fashion-mnist-classic", "fashion-mnist-modern", "mnist-classic", "mnist-modern"];
const IMAGE = { link: `#network=fashion-mnist-modern&image=${GARMENTS}:3` };
const REFUSED = { ...IMAGE, allow: /status of 4\d\d/ };

suite("Networks", (test) => {
  test("the pretrained networks can be chosen", IMAGE, async (page) => {
    const offered = await page.$$eval("#network option", (options) => options.map(({ value }) => value));
    for (const id of PRETRAINED) assert.ok(offered.includes(id), `${id} is not in ${offered}`);
    for (const id of PRETRAINED.filter((id) => id !== "fashion-mnist-modern")) {
      await repaint(page, () => page.selectOption("#network", id));
    }
  });

  test("weights in other formats are opened", IMAGE, async (page) => {
    const weights = await readFile(new URL("../fixtures/weights.safetensors", import.meta.url));
    await repaint(page, () => page.setInputFiles("#network-file", file("pytorch.safetensors", weights)));
    await eventually(page, () => document.querySelector("#network").selectedOptions[0].textContent.includes("pytorch"));
  });

  test("a file that holds no weights gets a sentence", REFUSED, async (page) => {
    await page.setInputFiles("#network-file", file("weights.safetensors", Buffer.from("not weights")));
    assert.match(await message(page), /\.$/);
    assert.equal(await page.inputValue("#network"), "fashion-mnist-modern");
  });

  test("damaged weights get a sentence", REFUSED, async (page) => {
    const { networks } = await api(page, "networks");
    const address = new URL(`/api/networks/${networks[0].id}/weights`, page.url()).href;
    const weights = await (await page.request.get(address)).body();
    await page.setInputFiles("#network-file", file("half.safetensors", weights.subarray(0, weights.length / 2)));
    assert.match(await message(page), /\.$/);
  });
});

function file(name, buffer) {
  return { name, mimeType: "application/octet-stream", buffer };
}
