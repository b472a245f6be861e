// Measures the time from a pointer event to the paint of its view: `node latency.mjs [POINTS]`.

import os from "node:os";

import { along, within } from "./gestures.mjs";
import { eventually, startBrowser, startExplorer, visit } from "./support.mjs";

const POINTS = Number(process.argv[2] ?? 500);
const WARM_UP = 20;

/** A scribble that stays within the drawing area. */
const SCRIBBLE = Array.from({ length: 41 }, (_, turn) => [0.15 + (0.7 * turn) / 40, turn % 2 ? 0.2 : 0.8]);

const explorer = await startExplorer();
const browser = await startBrowser();
try {
  await visit(browser, explorer.address, { link: "#network=mnist-modern" }, async (page) => {
    await page.evaluate(observe);
    const scribble = along(SCRIBBLE, Math.ceil((POINTS + WARM_UP) / (SCRIBBLE.length - 1)));
    const points = await within(page, "#drawing", scribble.slice(0, POINTS + WARM_UP));

    const alone = await eachAlone(page, points);
    report("each point after the paint of the last", alone.slice(WARM_UP));
    await page.click("#clear");
    await page.waitForTimeout(500);
    report("points every 8 ms, as a mouse sends them", await inARow(page, points));
  });
} finally {
  await browser.close();
  await explorer.stop();
}

/** Runs in the page: keeps the time of the last pointer event, and for each view the time of its paint. */
function observe() {
  window.measured = { events: [], paints: [] };
  const { events, paints } = window.measured;
  const drawing = document.querySelector("#drawing");
  for (const type of ["pointerdown", "pointermove"]) {
    drawing.addEventListener(type, (event) => events.push(event.timeStamp), { capture: true });
  }
  new MutationObserver(() => {
    // The view is in the canvases now; it is on the screen with the next frame.
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => paints.push(performance.now());
      channel.port2.postMessage(null);
    });
  }).observe(document.body, { attributes: true, attributeFilter: ["data-views"] });
}

/** Milliseconds from each event to its paint, with the next event after that. */
async function eachAlone(page, points) {
  const [start, ...rest] = points;
  await page.mouse.move(...start);
  const times = [];
  for (const [index, point] of [start, ...rest].entries()) {
    await page.evaluate(() => {
      window.measured.events.length = 0;
      window.measured.paints.length = 0;
    });
    await (index === 0 ? page.mouse.down() : page.mouse.move(...point));
    await eventually(page, () => window.measured.paints.length > 0);
    times.push(await page.evaluate(() => window.measured.paints[0] - window.measured.events[0]));
  }
  await page.mouse.up();
  return times;
}

/** Milliseconds from each event to the first paint of a view that was requested after it. */
async function inARow(page, points) {
  await page.evaluate(() => {
    performance.clearResourceTimings();
    performance.setResourceTimingBufferSize(10_000);
    window.measured.events.length = 0;
    window.measured.paints.length = 0;
  });
  const [start, ...rest] = points;
  await page.mouse.move(...start);
  await page.mouse.down();
  let due = performance.now();
  for (const point of rest) {
    due += 8;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    await page.mouse.move(...point);
  }
  await page.mouse.up();
  await page.waitForTimeout(1000);
  return page.evaluate(() => {
    const views = performance.getEntriesByType("resource")
      .filter(({ name, responseStatus }) => name.includes("/api/view") && responseStatus === 200);
    const { events, paints } = window.measured;
    return events
      .map((event) => {
        const view = views.find(({ startTime }) => startTime >= event);
        const paint = view && paints.find((paint) => paint >= view.responseEnd);
        return paint - event;
      })
      .filter(Number.isFinite);
  });
}

function report(what, times) {
  times.sort((a, b) => a - b);
  const quantile = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))].toFixed(1);
  const cores = os.availableParallelism?.() ?? os.cpus().length;
  console.log(`${what}: ${times.length} events, median ${quantile(0.5)} ms, 95th percentile ${quantile(0.95)} ms (${cores} cores)`);
}
