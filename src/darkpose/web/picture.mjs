// Pictures from files, pasted images and frames of videos.

import { Sentence } from "./messages.mjs";
import { firstBytes, printable, readHeader, refusal, undecodable } from "./picture_header.mjs";

/**
 * @typedef {Object} Picture
 * @property {string} name
 * @property {string} kind see `readHeader`
 * @property {Blob} file the bytes as they were given
 * @property {ImageBitmap} bitmap upright, as EXIF says
 * @property {number} width px of the upright picture
 * @property {number} height
 * @property {number[][]} boxes drawn by the user: x0, y0, x1, y1, px
 * @property {Result | null} result null while it is looked for
 *
 * @typedef {{image: string, width: number, height: number, faces: Face[]}} Result
 *
 * @typedef {Object} Face the JSON object of `darkpose predict --json`
 * @property {string} markup name of the schema
 * @property {number[]} box x0, y0, x1, y1, px
 * @property {string} found_by
 * @property {boolean} reliable
 * @property {number | null} detection_score
 * @property {number | null} score
 * @property {number[][]} keypoints x, y, px; the centre of the first pixel is (0, 0)
 * @property {number[]} scores
 * @property {(number[][] | null)[]} [covariances] px^2
 * @property {string[]} names
 */

const AS_STORED = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };

/**
 * Decode a file.
 * @param {File | Blob} file
 * @param {string} name
 * @param {{bytes: number, pixels: number}} limits
 * @returns {Promise<Picture>}
 * @throws {Sentence} what is wrong with the file
 */
export async function openPicture(file, name, limits) {
  const shown = printable(name);
  const header = await readable(file, shown);
  const reason = refusal({ name: shown, size: file.size }, header, limits);
  if (reason) throw new Sentence(reason);
  const bitmap = await createImageBitmap(file, AS_STORED).catch(() => {
    throw new Sentence(undecodable(shown, header));
  });
  const { width, height } = bitmap;
  const late = refusal({ name: shown, size: file.size }, { kind: header.kind, width, height }, limits);
  if (late) throw new Sentence(late);
  return { name: shown, kind: header.kind, file, bitmap, width, height, boxes: [], result: null };
}

async function readable(file, name) {
  try {
    return readHeader(await firstBytes(file));
  } catch {
    throw new Sentence(`${name} cannot be read: it may have been moved, or be a folder.`);
  }
}

/**
 * The pixels of an image.
 * @param {CanvasImageSource} source
 * @param {number} width
 * @param {number} height
 * @returns {Uint8ClampedArray} RGBA, row by row
 */
export function pixelsOf(source, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Sentence(`This browser has not enough memory for ${width} x ${height} px.`);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/**
 * One frame of a video as a JPEG or PNG file.
 * @param {CanvasImageSource} source
 * @param {number} width
 * @param {number} height
 * @param {"image/jpeg" | "image/png"} type
 * @returns {Promise<Blob>}
 */
export async function fileOf(source, width, height, type) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(source, 0, 0, width, height);
  return canvas.convertToBlob({ type, quality: 0.92 });
}
