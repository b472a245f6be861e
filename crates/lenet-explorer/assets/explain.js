// Which pixels speak for a class, laid over the image: by gradient or by occlusion.

import { Latest, postForValues, url } from "./api.js";
import { divergingScale, paintLegend, pixel, put } from "./colour.js";
import { canvas, debounced, element, fillSelect, select } from "./dom.js";
import { showError } from "./message.js";
import { emit, network, on, state } from "./state.js";

const target = canvas("explanation");
const explanations = new Latest(showError);
/** @type {{values: Float32Array, seen: Uint8Array<ArrayBuffer>, height: number, width: number, min: number, max: number} | null} */
let painted = null;

function paint() {
  if (!painted) return;
  const { values, seen, height, width, min, max } = painted;
  const bound = Math.max(-min, max, 1e-12);
  // The image is black, whatever the theme.
  const scale = divergingScale(bound, "dark");
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < values.length; index += 1) {
    const colour = pixel(values[index], scale);
    const grey = seen[index];
    // Where the map is silent, the image shows through.
    const weight = Math.min(1, Math.abs(values[index]) / bound) ** 0.6;
    let mixed = 255 << 24;
    for (const shift of [0, 8, 16]) {
      const part = (colour >>> shift) & 255;
      mixed |= Math.round(part * weight + grey * (1 - weight)) << shift;
    }
    pixels[index] = mixed >>> 0;
  }
  put(target, image);
  paintLegend(canvas("explanation-legend"), scale);
}

function request() {
  const { view, explained } = state;
  if (!view) return;
  const { seen, size } = view;
  const method = select("explain-method").value;
  const path = url("/api/explain", { network: view.network, class: explained ?? view.prediction.class, method });
  explanations.submit(async (signal) => {
    const { header, values } = await postForValues(path, seen, signal);
    return () => {
      painted = { values, seen, height: size[0], width: size[1], min: header.min, max: header.max };
      element("explanation-words").textContent = header.words;
      target.dataset.class = String(header.class);
      target.dataset.method = header.method;
      paint();
    };
  });
}
// Occlusion costs hundreds of passes: it waits until the drawing rests.
const whenAtRest = debounced(200, request);

function update() {
  if (select("explain-method").value === "occlusion") whenAtRest();
  else request();
}

function fillClasses() {
  const classes = network()?.classes ?? [];
  fillSelect(select("explain-class"), [
    { value: "", text: "predicted" },
    ...classes.map((name, index) => ({ value: String(index), text: name })),
  ]);
  select("explain-class").value = state.explained === null ? "" : String(state.explained);
}

select("explain-class").addEventListener("change", ({ currentTarget }) => {
  if (!(currentTarget instanceof HTMLSelectElement)) return;
  state.explained = currentTarget.value === "" ? null : Number(currentTarget.value);
  emit("explained");
});
select("explain-method").addEventListener("change", update);
on("networks", fillClasses);
on("network", fillClasses);
on("view", update);
on("explained", () => {
  fillClasses();
  update();
});
