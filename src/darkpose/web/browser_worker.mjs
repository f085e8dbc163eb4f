// Runs the networks of a static folder. A request: {number, load: files} or {number, find: {pixels, width, height,
// boxes}}; an answer: {number, found} or {number, error}, and {share, what} while files come.

import { Sentence } from "./messages.mjs";
import { pixelsOf } from "./picture.mjs";
import { megabytes } from "./picture_header.mjs";

const MANY = 8; // faces in one pass, for the memory
const MOST_APART = 0.1; // px, of landmarks that WebGPU finds and those that it should find
let [program, model, detector] = [null, null, null];

self.onmessage = async ({ data: { number, load, find } }) => {
  try {
    self.postMessage({ number, found: load ? await loadAll(load) : await findAll(find) });
  } catch (error) {
    self.postMessage({ number, error: sentence(error) });
  }
};

/** Load onnxruntime-web, the two networks and the program that uses them. */
async function loadAll({ backend, programs, runtimes, wasm, detector: ofDetector, landmarks: ofLandmarks }) {
  const files = [wasm[backend], ofDetector, ofLandmarks];
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let come = 0;
  const report = (length) => {
    come += length;
    self.postMessage({ share: Math.min(come / total, 1), what: `Loading: ${megabytes(come)} of ${megabytes(total)}` });
  };
  const all = await Promise.all(files.map(({ file }) => fetchUnpacked(file, report)));
  self.postMessage({ share: NaN, what: "Starting ..." });
  const ort = await import(new URL(runtimes[backend], self.location));
  ort.env.wasm.wasmBinary = all[0].buffer;
  program = await import(new URL(programs[backend], self.location));
  detector = await program.loadDetector(all[1], { executionProviders: ["wasm"] });
  model = await program.loadModel(all[2], { executionProviders: ["wasm"] });
  if (backend === "webgpu") await useWebgpu(all[2]);
  self.postMessage({ share: null, what: "" });
  return null;
}

/** Run the landmark network by WebGPU, if that finds the landmarks of the sample: not every one calculates well. */
async function useWebgpu(bytes) {
  const answer = await fetch(new URL("sample.jpg", self.location));
  const bitmap = await createImageBitmap(await answer.blob());
  const { width, height } = bitmap;
  const sample = { pixels: pixelsOf(bitmap, width, height), width, height };
  const [expected] = await findAll(sample);
  await model.session.release();
  model = await program.loadModel(bytes, { executionProviders: ["webgpu"] });
  const [found] = await findAll(sample);
  const distances = found.points.map(({ x, y }, k) => Math.hypot(x - expected.points[k].x, y - expected.points[k].y));
  const apart = Math.max(...distances);
  if (!(apart <= MOST_APART)) {
    throw new Sentence(`WebGPU finds other landmarks here (${apart.toFixed(1)} px away); the page goes on without it.`);
  }
}

/** The bytes of a file that is compressed with gzip, whether the host or the browser has unpacked it or not. */
async function fetchUnpacked(file, report) {
  const answer = await fetch(new URL(file, self.location)).catch(() => null);
  if (!answer?.ok)
    throw new Sentence(`${file} cannot be loaded (${answer ? `status ${answer.status}` : "no connection"}).`);
  const parts = [];
  const reader = answer.body.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    parts.push(value);
    report(value.length);
  }
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

/** All faces of a picture, or those in boxes: where they are, and their landmarks in all schemas. */
async function findAll({ pixels, width, height, boxes }) {
  const { crop_size: size, padding } = model.card.config;
  const faces = boxes
    ? boxes.map((box) => ({ given: box, roll: 0, matrix: program.cropMatrix(box, size, padding) }))
    : (await program.findFaces(detector, pixels, width, height)).map((face) => ({
        ...face,
        matrix: program.squareMatrix(face.center, padding * face.side, face.roll, size),
      }));
  const found = [];
  for (let first = 0; first < faces.length; first += MANY) {
    const some = faces.slice(first, first + MANY);
    const crops = new Uint8Array(some.length * size * size * 3);
    some.forEach(({ matrix }, i) => {
      crops.set(program.cutCrop(pixels, width, height, matrix, size), i * size * size * 3);
    });
    const points = await program.findLandmarks(
      model,
      crops,
      some.map(({ matrix }) => matrix),
    );
    found.push(...some.map((face, i) => ({ ...face, points: points[i] })));
  }
  return found;
}

function sentence(error) {
  if (error instanceof Sentence) return error.message;
  const text = error instanceof Error ? error.message : String(error);
  if (/memory|allocat/i.test(text)) return "This browser has not enough memory for this picture.";
  if (/CompileError|wasm|backend/i.test(`${error?.name} ${text}`)) return `WebAssembly cannot be started here: ${text}`;
  return `The landmarks cannot be found: ${text}`;
}
