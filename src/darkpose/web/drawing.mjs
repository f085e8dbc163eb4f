// Faces drawn on a canvas, in the colours of `darkpose predict --draw`.

import { ellipseOf } from "./ellipse.mjs";
import { regionOf } from "./regions.mjs";

const [WHITE, DARK_BLUE, CYAN] = ["#ffffff", "rgb(20 60 90)", "rgb(64 224 255)"];
const [ELLIPSE, BOX, CHOSEN] = ["rgb(255 96 160)", "rgb(255 196 64)", "rgb(255 240 80)"];

/**
 * @typedef {Object} Shown what is drawn
 * @property {boolean} outlines
 * @property {boolean} numbers
 * @property {boolean} ellipses
 * @property {boolean} boxes
 * @property {Set<string>} hidden regions that are left out
 *
 * @typedef {{scale: number, x: number, y: number}} Place  of a picture on a canvas: px of the canvas for one of the
 *   picture, and where the corner of the first pixel is
 */

/** A point of the picture, whose first pixel has its centre at (0, 0), on the canvas. */
export function onCanvas({ scale, x, y }, [u, v]) {
  return [(u + 0.5) * scale + x, (v + 0.5) * scale + y];
}

/** A point of the canvas in the picture. */
export function inPicture({ scale, x, y }, [u, v]) {
  return [(u - x) / scale - 0.5, (v - y) / scale - 0.5];
}

/**
 * Draw faces.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {import("./picture.mjs").Face[]} faces
 * @param {Record<string, number[][]>} outlines lines of indices, by the name of the schema
 * @param {Place} place
 * @param {Shown} shown
 * @param {{face: number, index: number} | null} chosen landmark
 */
export function drawFaces(context, faces, outlines, place, shown, chosen) {
  context.lineJoin = context.lineCap = "round";
  faces.forEach((face, number) => {
    const [x0, y0, x1, y1] = face.box;
    const extent = Math.max(x1 - x0, y1 - y0) * place.scale;
    const width = Math.min(Math.max(1, extent / 200), 4);
    const points = face.keypoints.map((point) => onCanvas(place, point));
    const isShown = face.names.map((name) => !shown.hidden.has(regionOf(name)));
    if (shown.boxes) drawBox(context, place, face.box, width);
    if (shown.outlines) drawOutlines(context, points, outlines[face.markup] ?? [], isShown, width);
    const at = chosen?.face === number ? chosen.index : -1;
    const radius = Math.min(Math.max(1.2, extent / 110), 5);
    face.covariances?.forEach((covariance, k) => {
      if (isShown[k] && shown.ellipses) drawEllipse(context, points[k], covariance, place.scale, width);
    });
    drawLandmarks(context, points, isShown, radius, at);
    if (at >= 0) drawEllipse(context, points[at], face.covariances?.[at], place.scale, Math.max(width, 2));
    if (shown.numbers) drawNumbers(context, points, isShown, Math.min(Math.max(9, extent / 32), 15));
  });
}

/** Draw a box of the picture. */
export function drawBox(context, place, [x0, y0, x1, y1], width) {
  const [[left, top], [right, bottom]] = [onCanvas(place, [x0, y0]), onCanvas(place, [x1, y1])];
  context.strokeStyle = BOX;
  context.lineWidth = width;
  context.strokeRect(left, top, right - left, bottom - top);
}

function drawOutlines(context, points, outlines, isShown, width) {
  context.strokeStyle = CYAN;
  context.lineWidth = width;
  context.beginPath();
  for (const line of outlines) {
    line.forEach((index, i) => {
      const joined = i > 0 && isShown[index] && isShown[line[i - 1]];
      context[joined ? "lineTo" : "moveTo"](...points[index]);
    });
  }
  context.stroke();
}

function drawEllipse(context, [x, y], covariance, scale, width) {
  const ellipse = ellipseOf(covariance);
  if (!ellipse) return;
  context.strokeStyle = ELLIPSE;
  context.lineWidth = width;
  context.beginPath();
  context.ellipse(x, y, ellipse.long * scale, ellipse.short * scale, ellipse.angle, 0, 2 * Math.PI);
  context.stroke();
}

function drawLandmarks(context, points, isShown, radius, chosen) {
  const ring = Math.max(0.5, radius / 3);
  points.forEach(([x, y], k) => {
    if (!isShown[k]) return;
    disc(context, x, y, radius + ring, DARK_BLUE);
    disc(context, x, y, radius, k === chosen ? CHOSEN : WHITE);
  });
}

function disc(context, x, y, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function drawNumbers(context, points, isShown, size) {
  context.font = `${size}px system-ui, sans-serif`;
  context.lineWidth = size / 4;
  context.strokeStyle = DARK_BLUE;
  context.fillStyle = WHITE;
  points.forEach(([x, y], k) => {
    if (!isShown[k]) return;
    context.strokeText(String(k), x + size / 2, y - size / 3);
    context.fillText(String(k), x + size / 2, y - size / 3);
  });
}
