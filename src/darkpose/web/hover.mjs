// The landmark under the pointer or the keys: what the page tells of it.

import { onCanvas, inPicture } from "./drawing.mjs";
import { describe, nearest } from "./ellipse.mjs";
import { say } from "./messages.mjs";
import { regionOf } from "./regions.mjs";

const NEAR = 14; // px of the screen

/** Tells of the landmark nearest to a place of the canvas. */
export function hover(/** @type {import("./view.mjs").View} */ view, x, y) {
  const at = inPicture(view.place, [x, y]);
  choose(
    view,
    nearest(view.scene.faces, ...at, NEAR / view.place.scale, (name) => isShown(view, name)),
  );
}

/** Tells of the next landmark of all faces, by +1 or -1. */
export function step(/** @type {import("./view.mjs").View} */ view, by) {
  const all = view.scene.faces.flatMap(({ names }, face) =>
    names.flatMap((name, index) => (isShown(view, name) ? [{ face, index }] : [])),
  );
  if (!all.length) return;
  const now = all.findIndex(({ face, index }) => face === view.chosen?.face && index === view.chosen?.index);
  choose(view, all[now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length]);
  say(describe(view.scene.faces, view.chosen).join(", "));
}

/** Tells of a landmark; null: of none. */
export function choose(/** @type {import("./view.mjs").View} */ view, at) {
  const tip = document.getElementById("tip");
  const same = at?.face === view.chosen?.face && at?.index === view.chosen?.index;
  view.chosen = at;
  tip.hidden = at === null;
  if (at) {
    tip.textContent = describe(view.scene.faces, at).join("\n");
    const [x, y] = onCanvas(view.place, view.scene.faces[at.face].keypoints[at.index]);
    const { clientWidth: width, clientHeight: height } = view.canvas;
    tip.style.left = `${Math.max(4, Math.min(x + 16, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, y + 16 + tip.offsetHeight > height ? y - tip.offsetHeight - 12 : y + 16)}px`;
  }
  if (!same) view.draw();
}

function isShown(view, name) {
  return !view.shown.hidden.has(regionOf(name));
}
