// Units: where one is in its stage, its value, and the part of the image that it sees.

/** @import { Stage, Unit, View } from "./types.js" */

import { number } from "./format.js";
import { emit, network, state } from "./state.js";

/** Channels, rows and columns of a stage: a dense stage has a channel for each unit. @param {Stage} stage */
export function extent({ shape }) {
  return shape.length === 3 ? shape : [shape[0], 1, 1];
}

/** @param {View | null} view @param {string} name */
export function stageOf(view, name) {
  return view?.stages.find((stage) => stage.name === name);
}

/**
 * The unit, moved to the nearest one that the view contains.
 * @param {View | null} view
 * @param {Unit | null} unit
 * @returns {Unit | null}
 */
export function within(view, unit) {
  if (!unit) return null;
  const stage = stageOf(view, unit.stage);
  if (!stage) return null;
  const [channels, rows, columns] = extent(stage);
  /** @param {number} value @param {number} count */
  const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));
  return {
    stage: unit.stage,
    channel: clamp(unit.channel, channels),
    row: clamp(unit.row, rows),
    column: clamp(unit.column, columns),
  };
}

/** @param {Stage} stage @param {Unit} unit */
export function valueOf(stage, { channel, row, column }) {
  const [, rows, columns] = extent(stage);
  return stage.values[(channel * rows + row) * columns + column];
}

/**
 * The unit of the last pooling that a unit of the flatten layer is; null for units of other layers.
 * @param {View} view
 * @param {Unit} unit
 * @returns {Unit | null}
 */
function pooled(view, unit) {
  const flatten = view.stages.findIndex(({ name, kind }) => name === unit.stage && kind === "flatten");
  const before = view.stages[flatten - 1];
  if (!before) return null;
  const [, rows, columns] = extent(before);
  const place = unit.channel % (rows * columns);
  const channel = Math.floor(unit.channel / (rows * columns));
  return { stage: before.name, channel, row: Math.floor(place / columns), column: place % columns };
}

/**
 * The part of the image that a unit sees, without what lies in the padding: empty if all of it does.
 * @param {View} view
 * @param {Unit} unit
 * @returns {{top: number, left: number, height: number, width: number}}
 */
export function fieldOf(view, unit) {
  const inMap = pooled(view, unit);
  if (inMap) return fieldOf(view, inMap);
  const [height, width] = view.size;
  const field = stageOf(view, unit.stage)?.field;
  if (!field) return { top: 0, left: 0, height, width };
  const top = field.start[0] + field.stride[0] * unit.row;
  const left = field.start[1] + field.stride[1] * unit.column;
  const bottom = Math.min(height, top + field.size[0]);
  const right = Math.min(width, left + field.size[1]);
  const first = { top: Math.min(height, Math.max(0, top)), left: Math.min(width, Math.max(0, left)) };
  return { ...first, height: Math.max(0, bottom - first.top), width: Math.max(0, right - first.left) };
}

/** The last layer has a unit for each class. @param {Stage} stage @param {number} unit */
function className({ name, kind }, unit) {
  const { layers, classes } = network() ?? { layers: [], classes: [] };
  const last = kind === "probabilities" || name === layers.at(-1)?.name;
  return last && classes[unit] ? ` (class ${classes[unit]})` : "";
}

/** Where a unit is, in words. @param {View} view @param {Unit} unit */
export function describe(view, unit) {
  const stage = stageOf(view, unit.stage);
  if (!stage) return unit.stage;
  const inMap = pooled(view, unit);
  const place = /** @param {Unit} unit */ ({ channel, row, column }) => `channel ${channel} · row ${row}, column ${column}`;
  let where = `unit ${unit.channel}${className(stage, unit.channel)}`;
  if (stage.shape.length === 3) where = place(unit);
  if (inMap) where += ` (${inMap.stage} · ${place(inMap)})`;
  const { height, width } = fieldOf(view, unit);
  const blind = height === 0 || width === 0 ? " · sees only the padding" : "";
  return `${stage.name} · ${where} · value ${number(valueOf(stage, unit))}${blind}`;
}

/** Picks a unit, or none. @param {Unit | null} unit */
export function pick(unit) {
  state.unit = within(state.view, unit);
  emit("unit");
}

/** @param {Unit} a @param {Unit | null} b */
export function same(a, b) {
  return b !== null && a.stage === b.stage && a.channel === b.channel && a.row === b.row && a.column === b.column;
}
