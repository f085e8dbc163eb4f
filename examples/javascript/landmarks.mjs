// Face landmarks from a file that `darkpose export` wrote, with onnxruntime-web. Everything above `main` also works in a
// browser.
//
//   npm ci
//   node landmarks.mjs landmarks.onnx picture.rgb WIDTH HEIGHT X0 Y0 X1 Y1
//
// picture.rgb: WIDTH * HEIGHT * 3 bytes, row by row, red green blue. The box is tight around the landmarks, eyebrows to
// chin. The box of a face detector is different: docs/conventions.md, "Image and crop". Coordinates are x, y in px of
// the picture; the centre of its first pixel is (0, 0).

import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1; // more than one needs a page that is cross-origin isolated

// Crop px (u, v) to image px, for the square around a box: [a, b, c, d, e, f], x = a u + b v + c, y = d u + e v + f.
export function cropMatrix([x0, y0, x1, y1], size = 256, padding = 1.25) {
  const side = padding * Math.max(x1 - x0, y1 - y0);
  return [side / size, 0, (x0 + x1 - side) / 2, 0, side / size, (y0 + y1 - side) / 2];
}

// Cuts a crop of size * size * 3 bytes as OpenCV does: bilinear, at places rounded to 1/32 px, black outside. Pixels are
// RGB, or RGBA as `getImageData` gives them.
export function cutCrop(pixels, width, height, [a, b, c, d, e, f], size = 256) {
  const channels = pixels.length / (width * height);
  if (channels !== 3 && channels !== 4) throw new Error(`${pixels.length} bytes are not ${width} x ${height} RGB`);
  const at = (x, y, k) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : pixels[(y * width + x) * channels + k]);
  const whole = (x) => x + 0x18000000000000 - 0x18000000000000; // the nearest whole number; of two, the even one
  const rounded = (x, x0) => Math.round((whole(1024 * x) + whole(1024 * x0)) / 32) / 32;
  const crop = new Uint8Array(size * size * 3);
  for (let v = 0, i = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      const [x, y] = [rounded(a * u, b * v + c), rounded(d * u, e * v + f)];
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [p, q] = [x - left, y - top];
      for (let k = 0; k < 3; k++) {
        const above = (1 - p) * at(left, top, k) + p * at(left + 1, top, k);
        const below = (1 - p) * at(left, top + 1, k) + p * at(left + 1, top + 1, k);
        crop[i++] = Math.round((1 - q) * above + q * below);
      }
    }
  }
  return crop;
}

// A model from the bytes (Uint8Array) of an .onnx file.
export async function loadModel(bytes) {
  const card = readCard(bytes);
  return { card, session: await ort.InferenceSession.create(bytes) };
}

// Landmarks of N faces, from their crops, one after the other, and a matrix for each. Returns the named points of each.
export async function findLandmarks({ card, session }, crops, matrices) {
  const [count, size, names] = [matrices.length, card.config.crop_size, card.schema.names];
  const pixels = card.crops === "uint8" ? crops : Float32Array.from(crops);
  const { keypoints, scores } = await session.run({
    crops: new ort.Tensor(card.crops, pixels, [count, size, size, 3]),
    matrices: new ort.Tensor("float32", matrices.flat(), [count, 2, 3]),
  });
  return matrices.map((_, face) =>
    names.map((name, k) => {
      const i = face * names.length + k;
      return { name, x: keypoints.data[2 * i], y: keypoints.data[2 * i + 1], score: scores.data[i] };
    }),
  );
}

// The metadata of the file: names of the landmarks, size and padding of the crop, terms. onnxruntime-web does not return
// metadata, so they are read here: a key and a value in every field 14 of the outermost message.
export function readCard(bytes) {
  const text = (part) => new TextDecoder().decode(part);
  for (const [field, entry] of messageFields(bytes)) {
    if (field !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries(messageFields(entry));
    if (text(key) === "darkpose") return JSON.parse(text(value));
  }
  throw new Error("expected a file that `darkpose export` wrote");
}

// The fields of a message of protocol buffers: number, and bytes or value.
function* messageFields(bytes) {
  let at = 0;
  const number = () => {
    let [value, factor, byte] = [0, 1, 0];
    do {
      if (at >= bytes.length) throw new Error("expected a whole .onnx file");
      byte = bytes[at++];
      value += (byte & 127) * factor;
      factor *= 128;
    } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const tag = number();
    if (tag % 8 === 0) yield [tag >> 3, number()];
    else if (tag % 8 === 2) {
      const length = number();
      yield [tag >> 3, bytes.subarray(at, (at += length))];
    } else throw new Error("expected an .onnx file");
  }
}

async function main([file, picture, ...rest]) {
  const numbers = rest.map(Number);
  if (numbers.length !== 6 || numbers.some(Number.isNaN)) {
    throw new Error("usage: node landmarks.mjs landmarks.onnx picture.rgb WIDTH HEIGHT X0 Y0 X1 Y1");
  }
  const { readFile } = await import("node:fs/promises");
  const [width, height, ...box] = numbers;
  const model = await loadModel(await readFile(file));
  const { crop_size: size, padding } = model.card.config;
  const matrix = cropMatrix(box, size, padding);
  const crop = cutCrop(await readFile(picture), width, height, matrix, size);
  const [face] = await findLandmarks(model, crop, [matrix]);
  console.log(JSON.stringify(face, null, 1));
}

if (globalThis.process?.argv[1]?.endsWith("landmarks.mjs")) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
