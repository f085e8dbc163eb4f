// What the networks found, as the JSON objects of `darkpose predict --json`. Pure functions.

import { rounded } from "./formats.mjs";

const RELIABLE = 0.5; // mean score
const UPRIGHT = 30; // degrees; crops of faces that are turned by less are cut as they are

/**
 * @typedef {Object} Found a face as the worker gives it
 * @property {number[]} [given] the box, if it was drawn
 * @property {number} [score] of the detection
 * @property {number} roll degrees clockwise
 * @property {number[]} [center] of the landmark box, px
 * @property {number[]} [size] of it in the frame of the face, px
 * @property {{name: string, x: number, y: number, score: number, covariance?: number[]}[]} points "schema/landmark"
 *
 * @typedef {{width: number, height: number, down: number}} FaceBox  width and height of landmark boxes in shares of
 *   face boxes, and how far down their centre is
 */

/**
 * The faces in one schema.
 * @param {Found[]} found
 * @param {import("./engine.mjs").Schema} schema
 * @param {FaceBox} faceBox
 * @returns {import("./picture.mjs").Face[]}
 */
export function facesOf(found, schema, faceBox) {
  return found.map((face) => {
    const points = face.points.filter(({ name }) => name.startsWith(`${schema.name}/`));
    const score = points.reduce((sum, point) => sum + point.score, 0) / points.length;
    return {
      markup: schema.name,
      box: (face.given ?? boxOf(face, faceBox)).map((value) => rounded(value, 3)),
      found_by: face.given ? "given" : "darkpose",
      runtime: "onnxruntime",
      rolled: Math.abs(face.roll) > UPRIGHT ? (Math.round(face.roll) + 360) % 360 : 0,
      reliable: score >= RELIABLE,
      detection_score: face.given ? null : rounded(face.score, 4),
      score: rounded(score, 4),
      keypoints: points.map(({ x, y }) => [rounded(x, 3), rounded(y, 3)]),
      scores: points.map((point) => rounded(point.score, 4)),
      covariances: points.map(({ covariance }) => matrix(covariance)),
      names: schema.names,
    };
  });
}

/** The upright box from forehead to chin around a face: x0, y0, x1, y1. */
export function boxOf({ center, size, roll }, { width, height, down }) {
  const [cos, sin] = [Math.cos((roll * Math.PI) / 180), Math.sin((roll * Math.PI) / 180)];
  const [w, h] = [size[0] / width, size[1] / height];
  const [x, y] = [center[0] + down * h * sin, center[1] - down * h * cos];
  const [across, along] = [Math.hypot(w * cos, h * sin) / 2, Math.hypot(h * cos, w * sin) / 2];
  return [x - across, y - along, x + across, y + along];
}

function matrix(covariance) {
  if (!covariance?.every(Number.isFinite)) return null;
  const [xx, xy, yy] = covariance.map((value) => rounded(value, 4));
  return [
    [xx, xy],
    [xy, yy],
  ];
}
