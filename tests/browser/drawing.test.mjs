// Drawing with mouse, finger and keyboard, and the tools of the drawing area.

import assert from "node:assert/strict";

import { SEVEN, along, drawWithMouse, drawWithTouch, press, within } from "./gestures.mjs";
import { eventually, painted, predicts, repaint, suite, views } from "./support.mjs";

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
    await repaint(page, () => drawWithMouse(page, SEVEN));
    await predicts(page, "7");
    const seven = await settled(page);
    await repaint(page, () => drawWithMouse(page, LINE));
    assert.notEqual(await settled(page), seven);
    await repaint(page, () => page.click("#undo"));
    assert.equal(await settled(page), seven);
  });

  test("clear empties the drawing", DIGITS, async (page) => {
    await repaint(page, () => drawWithMouse(page, SEVEN));
    await page.click("#clear");
    await eventually(page, isBlack);
  });

  test("the eraser removes ink", DIGITS, async (page) => {
    await repaint(page, () => drawWithMouse(page, LINE));
    assert.equal(await page.getAttribute("#erase", "aria-pressed"), "false");
    await page.click("#erase");
    assert.equal(await page.getAttribute("#erase", "aria-pressed"), "true");
    await page.fill("#brush", await page.getAttribute("#brush", "max"));
    await drawWithMouse(page, [[0.5, 0.05], [0.5, 0.95]]);
    await eventually(page, isBlack);
  });

  test("a wider brush draws more ink", DIGITS, async (page) => {
    const ink = async (end) => {
      await page.fill("#brush", await page.getAttribute("#brush", end));
      await repaint(page, () => drawWithMouse(page, LINE));
      await settled(page);
      const sum = await page.$eval("#drawing", (canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value, index) => (index % 4 === 0 ? sum + value : sum), 0);
      });
      await page.click("#clear");
      await eventually(page, isBlack);
      return sum;
    };
    const [thin, thick] = [await ink("min"), await ink("max")];
    assert.ok(Math.abs(thick) > 2 * Math.abs(thin), `${thin} and ${thick}`);
  });
});

/** What `#seen` shows once no view has been painted for a while. */
async function settled(page) {
  let earlier;
  do {
    earlier = await views(page);
    await page.waitForTimeout(250);
  } while ((await views(page)) !== earlier);
  return painted(page, "#seen");
}

/** Runs in the page: whether the image as the network sees it is black. */
function isBlack() {
  const canvas = document.querySelector("#seen");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.every((value, index) => index % 4 === 3 || value === 0);
}
