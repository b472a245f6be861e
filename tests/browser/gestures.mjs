// What a hand does: strokes on the drawing area, and pictures that are dropped, pasted or chosen.

/** A seven in one stroke: corners in fractions of the drawing area. */
export const SEVEN = [[0.28, 0.22], [0.72, 0.22], [0.45, 0.82]];

/** Points along the lines between `corners`, `steps` for each line. */
export function along(corners, steps) {
  const points = [corners[0]];
  for (let corner = 1; corner < corners.length; corner += 1) {
    const [[fromX, fromY], [toX, toY]] = corners.slice(corner - 1, corner + 1);
    for (let step = 1; step <= steps; step += 1) {
      const share = step / steps;
      points.push([fromX + (toX - fromX) * share, fromY + (toY - fromY) * share]);
    }
  }
  return points;
}

/** The points in pixels of the window, for an element that is scrolled into view first. */
export async function within(page, selector, points) {
  await page.locator(selector).scrollIntoViewIfNeeded();
  const box = await page.locator(selector).boundingBox();
  return points.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
}

/** Draws with the mouse, in small steps as a hand does. */
export async function drawWithMouse(page, corners, steps = 15) {
  const [start, ...rest] = await within(page, "#drawing", along(corners, steps));
  await page.mouse.move(...start);
  await page.mouse.down();
  for (const point of rest) await page.mouse.move(...point);
  await page.mouse.up();
}

/** Draws with one finger. */
export async function drawWithTouch(page, corners, steps = 15) {
  const session = await page.context().newCDPSession(page);
  const touch = (type, points) =>
    session.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y]) => ({ x, y })) });
  const [start, ...rest] = await within(page, "#drawing", along(corners, steps));
  await touch("touchStart", [start]);
  for (const point of rest) await touch("touchMove", [point]);
  await touch("touchEnd", []);
  await session.detach();
}

/** Presses each key as often as its number says: `[["ArrowDown", 3], [" ", 1]]`. */
export async function press(page, keys) {
  for (const [key, times] of keys) {
    for (let time = 0; time < times; time += 1) await page.keyboard.press(key);
  }
}

/** The bytes of a PNG of `image` (as the server sends it), enlarged, and dark on light as most pictures are. */
export async function photograph(page, image, factor = 10) {
  const bytes = await page.evaluate(
    async ([image, factor]) => {
      const canvas = new OffscreenCanvas(image.width * factor, image.height * factor);
      const context = canvas.getContext("2d");
      const greys = Uint8Array.from(atob(image.pixels), (letter) => 255 - letter.charCodeAt(0));
      greys.forEach((grey, index) => {
        context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
        const [x, y] = [index % image.width, Math.floor(index / image.width)];
        context.fillRect(x * factor, y * factor, factor, factor);
      });
      const blob = await canvas.convertToBlob({ type: "image/png" });
      return [...new Uint8Array(await blob.arrayBuffer())];
    },
    [image, factor],
  );
  return Buffer.from(bytes);
}

/** Drops a file onto the page, as from a file manager. */
export async function drop(page, file) {
  await page.evaluate(async ({ name, type, bytes }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    for (const event of ["dragenter", "dragover", "drop"]) {
      const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
      document.querySelector("main").dispatchEvent(new DragEvent(event, options));
    }
  }, plain(file));
}

/** Pastes a file from the clipboard. */
export async function paste(page, file) {
  await page.evaluate(async ({ name, type, bytes }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    const options = { clipboardData: transfer, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new ClipboardEvent("paste", options));
  }, plain(file));
}

function plain({ name, type, bytes }) {
  return { name, type, bytes: [...bytes] };
}
