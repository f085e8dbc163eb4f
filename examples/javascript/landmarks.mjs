// Landmarks of all faces in a picture, by two files that darkpose wrote, with onnxruntime-web. Everything above `main`
// also works in a browser.
//
//   darkpose export default landmarks.onnx
//   darkpose export detector detector.onnx
//
//   npm ci
//   node landmarks.mjs landmarks.onnx detector.onnx picture.rgb WIDTH HEIGHT
//
// picture.rgb: WIDTH * HEIGHT * 3 bytes, row by row, red green blue. Coordinates are x, y in px of the picture; the
// centre of its first pixel is (0, 0).

import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? 0 : 1; // as many as are good, where a page may have several

// All faces in a picture, best first: the score of each, its roll in degrees clockwise, and its named landmarks. Pixels
// are RGB, or RGBA as `getImageData` gives them.
export async function findKeypoints(model, detector, pixels, width, height) {
  const faces = await findFaces(detector, pixels, width, height);
  if (faces.length === 0) return [];
  const { crop_size: size, padding } = model.card.config;
  const matrices = faces.map(({ center, side, roll }) => squareMatrix(center, padding * side, roll, size));
  const crops = new Uint8Array(faces.length * size * size * 3);
  matrices.forEach((matrix, i) => crops.set(cutCrop(pixels, width, height, matrix, size), i * size * size * 3));
  const found = await findLandmarks(model, crops, matrices);
  return faces.map(({ score, roll }, i) => ({ score, roll, keypoints: found[i] }));
}

// Score, roll (degrees clockwise), and centre, size (width and height in the frame of the face) and side of the landmark
// box (px) of each face in a picture, best first.
export async function findFaces({ session, side, threshold }, pixels, width, height) {
  const scale = side / Math.max(width, height);
  const [columns, rows] = [width, height].map((length) => Math.max(1, whole(scale * length)));
  const { scores, roll, center, size } = await session.run({
    images: new ort.Tensor("uint8", resize(pixels, width, height, columns, rows), [1, rows, columns, 3]),
    threshold: new ort.Tensor("float32", [threshold], [1]),
  });
  const [across, down] = [width / columns, height / rows];
  return Array.from(scores.data, (score, i) => {
    const [x, y] = [center.data[2 * i], center.data[2 * i + 1]];
    const inPicture = [(x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5]; // areas of pixels keep their place
    const box = [size.data[2 * i], size.data[2 * i + 1]].map((length) => (length * (across + down)) / 2);
    return { score, roll: roll.data[i], center: inPicture, size: box, side: Math.max(...box) };
  });
}

// The picture at another size, RGB, as OpenCV resizes it to the bit: areas are averaged where it shrinks, and it is
// bilinear where it grows.
export function resize(pixels, width, height, columns, rows) {
  if (columns >= width && rows >= height) return enlarge(pixels, width, height, columns, rows);
  const channels = channelsOf(pixels, width, height);
  const [across, down] = [shares(width, columns), shares(height, rows)];
  const halved = width === 2 * columns && height === 2 * rows; // OpenCV rounds these up, others to the even number
  const resized = new Uint8Array(rows * columns * 3);
  const [line, sums] = [new Float32Array(columns * 3), new Float32Array(columns * 3)];
  down.forEach((parts, row) => {
    sums.fill(0);
    for (const [y, high] of parts) {
      line.fill(0);
      across.forEach((pieces, column) => {
        for (const [x, wide] of pieces) {
          const at = (y * width + x) * channels;
          for (let k = 0; k < 3; k++) line[3 * column + k] += Math.fround(pixels[at + k] * wide);
        }
      });
      for (let i = 0; i < line.length; i++) sums[i] += Math.fround(line[i] * high);
    }
    for (let i = 0; i < sums.length; i++) resized[row * sums.length + i] = halved ? sums[i] + 0.5 : whole(sums[i]);
  });
  return resized;
}

// A larger picture: bilinear in whole numbers, with shares of 11 bits.
function enlarge(pixels, width, height, columns, rows) {
  const channels = channelsOf(pixels, width, height);
  const [across, down] = [neighbours(width, columns), neighbours(height, rows)];
  const enlarged = new Uint8Array(rows * columns * 3);
  const along = (row, [left, right, p, q], k) =>
    (pixels[(row * width + left) * channels + k] * p + pixels[(row * width + right) * channels + k] * q) >> 4;
  let i = 0;
  for (const [above, below, p, q] of down) {
    for (const column of across) {
      for (let k = 0; k < 3; k++) {
        const sum = ((along(above, column, k) * p) >> 16) + ((along(below, column, k) * q) >> 16);
        enlarged[i++] = (sum + 2) >> 2;
      }
    }
  }
  return enlarged;
}

// Along an axis, for each new pixel: the two pixels that it lies between, and their shares of 2048.
function neighbours(length, newLength) {
  return Array.from({ length: newLength }, (_, i) => {
    const place = Math.fround((i + 0.5) * (length / newLength) - 0.5);
    const first = Math.floor(place);
    const within = (at) => Math.min(Math.max(at, 0), length - 1);
    const share = Math.fround(place - first);
    return [within(first), within(first + 1), whole(2048 * Math.fround(1 - share)), whole(2048 * share)];
  });
}

// Along an axis, for each new pixel: the pixels that it covers, and the share of each, in float32.
function shares(length, newLength) {
  const step = 1 / (newLength / length);
  return Array.from({ length: newLength }, (_, i) => {
    const [start, end] = [i * step, i * step + step];
    const box = Math.min(step, length - start);
    const last = Math.min(Math.floor(end), length - 1);
    const first = Math.min(Math.ceil(start), last);
    const parts = first - start > 1e-3 ? [[first - 1, Math.fround((first - start) / box)]] : [];
    for (let at = first; at < last; at++) parts.push([at, Math.fround(1 / box)]);
    if (end - last > 1e-3) parts.push([last, Math.fround(Math.min(end - last, 1, box) / box)]);
    return parts;
  });
}

// Crop px (u, v) to image px: [a, b, c, d, e, f], x = a u + b v + c, y = d u + e v + f. The crop is a square, which is
// turned with the face where its roll is more than 30 degrees.
export function squareMatrix([x, y], side, roll = 0, size = 256) {
  const angle = Math.abs(roll) > 30 ? (whole(roll) * Math.PI) / 180 : 0;
  const [a, d] = [(Math.cos(angle) * side) / size, (Math.sin(angle) * side) / size];
  return [a, -d, x - ((a - d) * size) / 2, d, a, y - ((d + a) * size) / 2];
}

// The same around a box of your own, which is tight around the landmarks, eyebrows to chin. The box of another face
// detector is different: docs/conventions.md, "Image and crop".
export function cropMatrix([x0, y0, x1, y1], size = 256, padding = 1.25) {
  return squareMatrix([(x0 + x1) / 2, (y0 + y1) / 2], padding * Math.max(x1 - x0, y1 - y0), 0, size);
}

// Cuts a crop of size * size * 3 bytes as OpenCV does: bilinear, at places rounded to 1/32 px, black outside.
export function cutCrop(pixels, width, height, [a, b, c, d, e, f], size = 256) {
  const channels = channelsOf(pixels, width, height);
  const at = (x, y, k) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : pixels[(y * width + x) * channels + k]);
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

function channelsOf(pixels, width, height) {
  const channels = pixels.length / (width * height);
  if (channels !== 3 && channels !== 4) throw new Error(`${pixels.length} bytes are not ${width} x ${height} RGB`);
  return channels;
}

// The nearest whole number; of two, the even one.
function whole(x) {
  return x + 0x18000000000000 - 0x18000000000000;
}

// The landmark network from the bytes (Uint8Array) of its file. Options are those of onnxruntime-web's sessions.
export async function loadModel(bytes, options = {}) {
  const card = readCard(bytes);
  return { card, session: await ort.InferenceSession.create(bytes, options) };
}

// The face detector, likewise.
export async function loadDetector(bytes, options = {}) {
  const { side, threshold } = readMetadata(bytes);
  if (!side) throw new Error("expected a file that `darkpose export detector` wrote");
  return {
    side: Number(side),
    threshold: Number(threshold),
    session: await ort.InferenceSession.create(bytes, options),
  };
}

// Landmarks of N faces, from their crops, one after the other, and a matrix for each. Returns the named points of each,
// with the covariance [xx, xy, yy] of each, px^2, where the file gives it.
export async function findLandmarks({ card, session }, crops, matrices) {
  const [count, size, names] = [matrices.length, card.config.crop_size, card.schema.names];
  const pixels = card.crops === "uint8" ? crops : Float32Array.from(crops);
  const { keypoints, scores, covariance } = await session.run({
    crops: new ort.Tensor(card.crops, pixels, [count, size, size, 3]),
    matrices: new ort.Tensor("float32", matrices.flat(), [count, 2, 3]),
  });
  return matrices.map((_, face) =>
    names.map((name, k) => {
      const i = face * names.length + k;
      const point = { name, x: keypoints.data[2 * i], y: keypoints.data[2 * i + 1], score: scores.data[i] };
      if (covariance) point.covariance = [0, 1, 3].map((part) => covariance.data[4 * i + part]);
      return point;
    }),
  );
}

// The card in the file of a landmark network: names of the landmarks, size and padding of the crop, terms.
export function readCard(bytes) {
  const { darkpose } = readMetadata(bytes);
  if (!darkpose) throw new Error("expected a file that `darkpose export` wrote");
  return JSON.parse(darkpose);
}

// The metadata of a file, texts by name. onnxruntime-web does not return metadata, so they are read here: a key and a
// value in every field 14 of the outermost message.
function readMetadata(bytes) {
  const text = (part) => new TextDecoder().decode(part);
  const metadata = {};
  for (const [field, entry] of messageFields(bytes)) {
    if (field !== 14) continue;
    const { 1: key, 2: value } = Object.fromEntries(messageFields(entry));
    metadata[text(key)] = text(value);
  }
  return metadata;
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

async function main([modelFile, detectorFile, picture, ...rest]) {
  const [width, height] = rest.map(Number);
  if (rest.length !== 2 || !(width > 0 && height > 0)) {
    throw new Error("usage: node landmarks.mjs landmarks.onnx detector.onnx picture.rgb WIDTH HEIGHT");
  }
  const { readFile } = await import("node:fs/promises");
  const model = await loadModel(await readFile(modelFile));
  const detector = await loadDetector(await readFile(detectorFile));
  const faces = await findKeypoints(model, detector, await readFile(picture), width, height);
  console.log(JSON.stringify(faces, null, 1));
}

if (globalThis.process?.argv[1]?.endsWith("landmarks.mjs")) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
