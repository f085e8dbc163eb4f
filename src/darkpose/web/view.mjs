// The canvas: a picture with its landmarks, sharp at any zoom, to move and to enlarge.

import { drawBox, drawFaces, inPicture } from "./drawing.mjs";

const [LEAST, MOST, STEP] = [0.02, 64, 1.25]; // px of the screen for one of the picture, and one step of zoom

/**
 * @typedef {Object} Scene what the canvas shows
 * @property {CanvasImageSource} source
 * @property {number} width px
 * @property {number} height
 * @property {import("./picture.mjs").Face[]} faces
 * @property {boolean} [keepsPlace] where the scene before has the same size
 */

export class View {
  /** @type {Scene | null} */
  scene = null;
  /** @type {Record<string, number[][]>} */
  outlines = {}; // lines of indices, by the name of the schema
  /** @type {{face: number, index: number} | null} */
  chosen = null;
  place = { scale: 1, x: 0, y: 0 }; // px of the screen, CSS
  isBoxing = false; // whether the pointer draws a box
  #pointers = new Map();
  #corner = null; // of the box that is drawn
  #isWaiting = false;
  #fits = true;
  #size = [0, 0]; // of the canvas, px of the screen

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./drawing.mjs").Shown} shown
   * @param {{onBox: (box: number[]) => void, onHover: (x: number, y: number) => void, onLeave: () => void,
   *   onMove: () => void}} told
   */
  constructor(canvas, shown, told) {
    Object.assign(this, { canvas, shown, told });
    new ResizeObserver(() => this.#resized()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => this.told.onLeave());
  }

  /** Show a scene; the place stays where the size of the picture does. */
  show(/** @type {Scene | null} */ scene) {
    const same = scene && this.scene && scene.width === this.scene.width && scene.height === this.scene.height;
    this.scene = scene;
    this.chosen = null;
    if (same && scene.keepsPlace) this.draw();
    else this.fit();
  }

  /** Show the whole picture. */
  fit() {
    if (this.scene) this.#fitTo([0, 0, this.scene.width, this.scene.height]);
    this.#fits = true;
    this.#moved();
  }

  /** Show the faces large. */
  fitFaces() {
    const boxes = this.scene?.faces.map(({ box, keypoints }) => [...keypoints, box.slice(0, 2), box.slice(2)]) ?? [];
    if (!boxes.length) return;
    const [xs, ys] = [0, 1].map((axis) => boxes.flat().map((point) => point[axis]));
    const edge = 0.1 * Math.max(...xs.map((x) => x - Math.min(...xs)));
    this.#fitTo([Math.min(...xs) - edge, Math.min(...ys) - edge, Math.max(...xs) + edge, Math.max(...ys) + edge]);
    this.#fits = false;
    this.#moved();
  }

  /** What was in the middle stays there. */
  #resized() {
    const [before, now] = [this.#size, [this.canvas.clientWidth, this.canvas.clientHeight]];
    this.#size = now;
    if (this.#fits) this.fit();
    else this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  #moved() {
    this.told.onMove();
    this.draw();
  }

  #fitTo([x0, y0, x1, y1]) {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const scale = Math.min(width / (x1 - x0), height / (y1 - y0), MOST);
    this.place = { scale, x: (width - scale * (x0 + x1)) / 2, y: (height - scale * (y0 + y1)) / 2 };
  }

  /** Enlarge by steps around a place of the canvas, else around its middle. */
  zoom(steps, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(Math.max(this.place.scale * STEP ** steps, LEAST), MOST);
    const factor = scale / this.place.scale;
    this.place = { scale, x: x - factor * (x - this.place.x), y: y - factor * (y - this.place.y) };
    this.#fits = false;
    this.#moved();
  }

  /** Move the picture by px of the screen. */
  pan(x, y) {
    this.place = { ...this.place, x: this.place.x + x, y: this.place.y + y };
    this.#fits = false;
    this.#moved();
  }

  /** The part of the picture that is shown: x0, y0, x1, y1, whole px. */
  visibleBox() {
    const ends = [
      [0, 0],
      [this.canvas.clientWidth, this.canvas.clientHeight],
    ].map((end) => inPicture(this.place, end));
    return this.#inside(ends);
  }

  /** Draw with the next frame of the screen. */
  draw() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    requestAnimationFrame(() => {
      this.#isWaiting = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const { canvas, scene, place } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((length) => Math.round(length * ratio));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!scene) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.imageSmoothingEnabled = place.scale * ratio < 8;
    context.imageSmoothingQuality = "high";
    context.drawImage(scene.source, place.x, place.y, scene.width * place.scale, scene.height * place.scale);
    drawFaces(context, scene.faces, this.outlines, place, this.shown, this.chosen);
    if (this.#corner?.to) drawBox(context, place, this.#inside([this.#corner.from, this.#corner.to]), 2);
  }

  #inside(ends) {
    const clipped = ends.map(([x, y]) => [
      Math.min(Math.max(Math.round(x), 0), this.scene.width - 1),
      Math.min(Math.max(Math.round(y), 0), this.scene.height - 1),
    ]);
    const [x, y] = [0, 1].map((axis) => clipped.map((end) => end[axis]).sort((a, b) => a - b));
    return [x[0], y[0], x[1], y[1]];
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #wheel(event) {
    if (!this.scene) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? event.deltaY * 33 : event.deltaY;
    this.zoom(-Math.sign(lines) * Math.min(Math.abs(lines) / 100, 2), ...this.#at(event));
  }

  #down(event) {
    if (!this.scene || event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#at(event));
    if (this.isBoxing) this.#corner = { from: inPicture(this.place, this.#at(event)), to: null };
  }

  #move(event) {
    if (!this.scene) return;
    const [now, before] = [this.#at(event), this.#pointers.get(event.pointerId)];
    if (!before) return this.told.onHover(...now);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    if (other) this.#pinch(before, now, other);
    else if (this.#corner) {
      this.#corner.to = inPicture(this.place, now);
      this.draw();
    } else this.pan(now[0] - before[0], now[1] - before[1]);
  }

  #pinch(before, now, other) {
    this.#corner = null;
    const [old, fresh] = [before, now].map(([x, y]) => Math.max(Math.hypot(x - other[0], y - other[1]), 1));
    this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.zoom(Math.log(fresh / old) / Math.log(STEP), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId) || !this.scene) return;
    const corner = this.#corner;
    this.#corner = null;
    if (!corner) return this.told.onHover(...this.#at(event)); // a touch chooses the landmark, too
    const [x0, y0, x1, y1] = corner.to ? this.#inside([corner.from, corner.to]) : [0, 0, 0, 0];
    if (event.type === "pointerup" && x1 - x0 >= 8 && y1 - y0 >= 8) this.told.onBox([x0, y0, x1, y1]);
    this.draw();
  }
}
