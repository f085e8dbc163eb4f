// Results to save and to copy.

import { drawFaces } from "./drawing.mjs";
import { fileName, toCsv, toJson } from "./formats.mjs";
import { Sentence } from "./messages.mjs";

const LEAST_SIDE = 1200; // px; smaller pictures are enlarged by a whole factor, so that landmarks can be told apart

/** @typedef {import("./picture.mjs").Result} Result */

/** Save results as JSON, of several pictures one line each. */
export function saveJson(/** @type {Result[]} */ results) {
  const ending = results.length > 1 ? "jsonl" : "json";
  save(new Blob([toJson(results)], { type: "application/json" }), fileName(results, ending));
}

/** Save results as CSV. */
export function saveCsv(/** @type {Result[]} */ results) {
  save(new Blob([toCsv(results)], { type: "text/csv" }), fileName(results, "csv"));
}

/** Save the picture with what is drawn on it. */
export async function savePng(/** @type {import("./view.mjs").View} */ { scene, outlines, shown }, name) {
  const scale = Math.min(Math.max(1, Math.round(LEAST_SIDE / Math.max(scene.width, scene.height))), 4);
  const canvas = new OffscreenCanvas(scene.width * scale, scene.height * scale);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(scene.source, 0, 0, canvas.width, canvas.height);
  drawFaces(context, scene.faces, outlines, { scale, x: 0, y: 0 }, shown, null);
  const file = await canvas.convertToBlob({ type: "image/png" }).catch(() => {
    throw new Sentence("This browser has not enough memory to save this picture.");
  });
  save(file, fileName([{ image: name }], "landmarks.png"));
}

/** Copy results as JSON. */
export async function copyJson(/** @type {Result[]} */ results) {
  await navigator.clipboard.writeText(toJson(results)).catch(() => {
    throw new Sentence("The browser does not let this page copy: save the JSON file instead.");
  });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
