// What is drawn, as the user has chosen it.

import { regionsOf } from "./regions.mjs";

const $ = (id) => document.getElementById(id);

/** @type {import("./drawing.mjs").Shown} */
export const shown = { outlines: true, numbers: false, ellipses: false, boxes: false, hidden: new Set() };

/** Call back after every change. */
export function bindSettings(/** @type {() => void} */ onChange) {
  for (const name of ["outlines", "numbers", "ellipses", "boxes"]) {
    $(`show-${name}`).addEventListener("change", ({ target }) => {
      shown[name] = target.checked;
      onChange();
    });
  }
  $("regions").addEventListener("change", ({ target }) => {
    shown.hidden[target.checked ? "delete" : "add"](target.value);
    onChange();
  });
}

/** Offer the regions of a schema. */
export function offerRegions(/** @type {string[]} */ names) {
  const boxes = [...regionsOf(names).keys()].map((value) => {
    const label = document.createElement("label");
    const checked = !shown.hidden.has(value);
    label.append(Object.assign(document.createElement("input"), { type: "checkbox", value, checked }), value);
    return label;
  });
  $("regions").replaceChildren($("regions").firstElementChild, ...boxes);
}
