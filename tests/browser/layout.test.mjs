// From 360 to 3840 pixels wide, in light and in dark.

import assert from "node:assert/strict";

import { GARMENTS, suite } from "./support.mjs";

const LINK = `#network=fashion-mnist-modern&image=${GARMENTS}:5`;
const SIZES = [[360, 740], [768, 1024], [1280, 800], [1920, 1080], [3840, 2160]];

suite("Layout", (test) => {
  for (const [width, height] of SIZES) {
    test(`${width}×${height} without horizontal scrolling`, { link: LINK, viewport: { width, height } }, async (page) => {
      for (const tab of ["draw", "picture", "images"]) {
        await page.click(`#tab-${tab}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(overflow <= 0, `${overflow} pixels too wide with the tab ${tab}`);
      }
    });
  }

  test("the colours follow the system", { link: LINK }, async (page) => {
    const background = () => page.evaluate(() => {
      const { backgroundColor } = getComputedStyle(document.body);
      const [red, green, blue] = backgroundColor.match(/[\d.]+/g).map(Number);
      return red + green + blue;
    });
    await page.emulateMedia({ colorScheme: "light" });
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark" });
    assert.ok((await background()) < light / 2);
  });
});
