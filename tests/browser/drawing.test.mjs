// Drawing with mouse, finger and keyboard, and the tools of the drawing area.

import assert from "node:assert/strict";

import { SEVEN, along, drawWithMouse, drawWithTouch, press, within } from "./gestures.mjs";
import { eventually, greys, predicts, settle, suite, views } from "./support.mjs";

const DIGITS = { link: "#network=mnist-modern" };
const LINE = [[0.5, 0.2], [0.5, 0.8]];

suite("Drawing", (test) => {
  test("a seven drawn with the mouse is read as 7", DIGITS, async (page) => {
    await drawWithMouse(page, SEVEN);
    await predicts(page, "7");
    assert.equal(await page.getAttribute("#prediction", "data-class"), "7");
  });

  test("a seven drawn with a finger is read as 7, and the page does not scroll", {
    ...DIGITS,
    viewport: { width: 390, height: 700 },
    hasTouch: true,
    isMobile: true,
  }, async (page) => {
    await page.locator("#drawing").scrollIntoViewIfNeeded();
    const scrolled = await page.evaluate(() => window.scrollY);
    await drawWithTouch(page, SEVEN);
    await predicts(page, "7");
    assert.equal(await page.evaluate(() => window.scrollY), scrolled);
  });

  test("a seven drawn with the keyboard is read as 7", DIGITS, async (page) => {
    await page.focus("#drawing");
    await press(page, [["ArrowUp", 8], ["ArrowLeft", 6], [" ", 1], ["ArrowRight", 12]]);
    for (let step = 0; step < 8; step += 1) await press(page, [["ArrowDown", 2], ["ArrowLeft", 1]]);
    await press(page, [[" ", 1]]);
    await predicts(page, "7");
  });

  test("the view follows the pen while it is down", DIGITS, async (page) => {
    const [start, ...rest] = await within(page, "#drawing", along(SEVEN, 15));
    await page.mouse.move(...start);
    await page.mouse.down();
    const earlier = await views(page);
    for (const point of rest) await page.mouse.move(...point);
    await eventually(page, (count) => Number(document.body.dataset.views) > count, earlier);
    await predicts(page, "7");
    await page.mouse.up();
  });

  test("undo takes back the last stroke", DIGITS, async (page) => {
    await drawWithMouse(page, SEVEN);
    const seven = await settled(page);
    await drawWithMouse(page, LINE);
    assert.ok(difference(await settled(page), seven) > 5);
    await page.click("#undo");
    // The edges of a stroke are a little softer when it is drawn at once.
    assert.ok(difference(await settled(page), seven) < 1);
    await predicts(page, "7");
  });

  test("clear empties the drawing", DIGITS, async (page) => {
    await drawWithMouse(page, SEVEN);
    assert.ok(ink(await settled(page)) > 0);
    await page.click("#clear");
    assert.equal(ink(await settled(page)), 0);
  });

  test("the eraser removes ink", DIGITS, async (page) => {
    await drawWithMouse(page, LINE);
    assert.ok(ink(await settled(page)) > 0);
    assert.equal(await page.getAttribute("#erase", "aria-pressed"), "false");
    await page.click("#erase");
    assert.equal(await page.getAttribute("#erase", "aria-pressed"), "true");
    await page.fill("#brush", await page.getAttribute("#brush", "max"));
    await drawWithMouse(page, [[0.5, 0.05], [0.5, 0.95]]);
    assert.equal(ink(await settled(page)), 0);
  });

  test("a wider brush draws more ink", DIGITS, async (page) => {
    const drawn = [];
    for (const end of ["min", "max"]) {
      await page.fill("#brush", await page.getAttribute("#brush", end));
      await drawWithMouse(page, LINE);
      drawn.push(ink(await greys(page, "#drawing")));
      await page.click("#clear");
    }
    assert.ok(drawn[1] > 2 * drawn[0], drawn.join());
  });
});

/** The grey values of the image as the network sees it, once no view has been painted for a while. */
async function settled(page) {
  await settle(page);
  return greys(page, "#seen");
}

function ink(greys) {
  return greys.reduce((sum, grey) => sum + grey, 0);
}

/** Mean difference of two images, from 0 to 255. */
function difference(a, b) {
  return ink(a.map((grey, index) => Math.abs(grey - b[index]))) / a.length;
}
