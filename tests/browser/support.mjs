// Runs the program and a browser for the tests: one of each per file, and a fresh page for each test.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

import { chromium } from "playwright-core";

/** Longest wait for anything that the page does by itself, in milliseconds; a training takes longer. */
export const PATIENCE = 20_000;

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const DEFAULT_PROGRAM = path.join(REPOSITORY, "target", "release", "lenet");

/**
 * Describes the tests of one subject. `define` receives `test(name, options, body)`, where the options are those of
 * a Playwright context, plus `link` (the fragment of the address to open), `allow` (a pattern for messages on the
 * console that the test provokes) and `script` (a file to load before the page), and `body` receives the page, loaded.
 * A test fails if the page reports any other error, or sends a request to another host.
 */
export function suite(subject, define) {
  describe(subject, () => {
    let explorer;
    let browser;
    before(async () => {
      explorer = await startExplorer();
      browser = await startBrowser();
    });
    after(async () => {
      await browser?.close();
      await explorer?.stop();
    });
    define((name, ...rest) => {
      const body = rest.pop();
      const options = rest.pop() ?? {};
      it(name, () => visit(browser, explorer.address, options, body));
    });
  });
}

/** Opens the page in a context of its own, runs `body`, and checks what the page did meanwhile. */
export async function visit(browser, address, { link = "", allow, script, ...options }, body) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  if (script) await context.addInitScript({ path: script });
  try {
    const page = await context.newPage();
    const problems = watch(page, address, allow);
    await page.goto(address + link);
    await ready(page);
    await body(page);
    assert.deepEqual(problems, [], "the page reported errors or left its server");
  } finally {
    await context.close();
  }
}

/** Waits until the first view is painted. */
export async function ready(page) {
  await page.waitForSelector('body[data-ready="true"]');
}

/** The errors and the requests to other hosts that `page` makes from now on. */
function watch(page, address, allow) {
  const { host } = new URL(address);
  const problems = [];
  page.on("pageerror", (error) => problems.push(`error: ${error.stack ?? error}`));
  page.on("console", (message) => {
    const text = `${message.text()} (${message.location().url})`;
    if (!["error", "warning"].includes(message.type()) || allow?.test(text)) return;
    problems.push(`${message.type()} on the console: ${text}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (["data:", "blob:"].includes(url.protocol) || url.host === host) return;
    problems.push(`request to another host: ${url}`);
  });
  return problems;
}

/** Starts `lenet explore` on a free port, in an empty folder and without network access. */
export async function startExplorer() {
  const program = path.resolve(process.env.LENET_PROGRAM ?? DEFAULT_PROGRAM);
  if (!existsSync(program)) {
    throw new Error(`${program} is missing: build it with \`cargo build --release --bin lenet\`, or set LENET_PROGRAM`);
  }
  const folder = await mkdtemp(path.join(tmpdir(), "lenet-browser-"));
  const child = spawn(program, ["explore", "--no-open", "--port", "0"], {
    cwd: folder,
    env: { ...process.env, LENET_OFFLINE: "1", HOME: folder, XDG_CACHE_HOME: path.join(folder, "cache") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    child.kill("SIGINT");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true });
  };
  let output = "";
  const address = new Promise((resolve, reject) => {
    const read = (chunk) => {
      output += chunk;
      const found = /exploring at (http:\/\/\S+)/.exec(output);
      if (found) resolve(found[1].endsWith("/") ? found[1] : `${found[1]}/`);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`lenet explore ended with ${code}:\n${output}`)));
  });
  try {
    return { address: await address, stop };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Starts Chromium: the one of the system, or `LENET_CHROMIUM`. */
export async function startBrowser() {
  const executablePath = process.env.LENET_CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** Waits until `condition`, a function that runs in the page, returns something true, and returns that. */
export async function eventually(page, condition, argument, timeout = PATIENCE) {
  const handle = await page.waitForFunction(condition, argument, { timeout });
  return handle.jsonValue();
}

/** How many views the page has painted. */
export function views(page) {
  return page.evaluate(() => Number(document.body.dataset.views ?? 0));
}

/** Waits until no view has been painted for a while. */
export async function settle(page) {
  let earlier;
  do {
    earlier = await views(page);
    await page.waitForTimeout(500);
  } while ((await views(page)) !== earlier);
}

/** Runs `action` and waits until the page has painted a view for it. */
export async function repaint(page, action) {
  const earlier = await views(page);
  await action();
  await eventually(page, (count) => Number(document.body.dataset.views ?? 0) > count, earlier);
}

/** Waits until `read`, a function that runs in the page, returns `expected`, and says what it returned last if not. */
export async function becomes(page, read, expected, argument) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await page.evaluate(read, argument);
    if (isDeepStrictEqual(found, expected)) return;
    if (Date.now() > deadline) assert.deepEqual(found, expected);
    await page.waitForTimeout(50);
  }
}

/** Waits until the predicted class has the given name. */
export function predicts(page, name) {
  return becomes(page, () => document.querySelector("#prediction").textContent.split(" · ")[0].trim(), name);
}

/** Waits for a message and returns it. */
export function message(page) {
  return eventually(page, () => {
    const element = document.querySelector("#message");
    return element.checkVisibility() && element.textContent.trim();
  });
}

/** An answer of the server as JSON. */
export async function api(page, resource) {
  const response = await page.request.get(new URL(`/api/${resource}`, page.url()).href);
  assert.equal(response.status(), 200, `GET /api/${resource}: ${await response.text()}`);
  return response.json();
}

/** A digest of what a canvas shows. */
export async function painted(page, selector) {
  const url = await page.$eval(selector, (canvas) => canvas.toDataURL());
  return createHash("sha256").update(url).digest("hex");
}

/** Waits until a canvas shows something else than `earlier`, a digest, and returns the new one. */
export async function repainted(page, selector, earlier) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await painted(page, selector);
    if (found !== earlier) return found;
    assert.ok(Date.now() < deadline, `${selector} shows the same as before`);
    await page.waitForTimeout(50);
  }
}

/** The red of every pixel of a canvas: its grey values, if it is grey. */
export function greys(page, selector) {
  return page.$eval(selector, (canvas) => {
    const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return [...data].filter((_, index) => index % 4 === 0);
  });
}

/** The data sets for garments and digits: the real ones if there are any, else generated ones. */
const REAL = Boolean(process.env.LENET_DATA_DIR);
export const GARMENTS = REAL ? "fashion-mnist" : "synthetic";
export const DIGITS = REAL ? "mnist" : "synthetic-digits";

/** The first test image of a class that `network` classifies correctly. */
export async function readableImage(page, dataset, name, network) {
  const { datasets } = await api(page, "datasets");
  const label = datasets.find(({ id }) => id === dataset).classes.indexOf(name);
  const query = `images/${dataset}?class=${label}&count=96`;
  const { images } = await api(page, query);
  const wrong = (await api(page, `${query}&misclassified=${network}`)).images.map(({ index }) => index);
  const image = images.find(({ index }) => !wrong.includes(index));
  assert.ok(image, `${network} reads none of the images of ${name} in ${dataset}`);
  return image;
}
