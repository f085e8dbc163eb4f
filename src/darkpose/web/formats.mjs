// Results as the texts of `darkpose predict`: JSON and CSV. Pure functions.

/** @typedef {import("./picture.mjs").Result} Result */

/**
 * One line of JSON for each picture.
 * @param {Result[]} results
 */
export function toJson(results) {
  return results.map((result) => `${JSON.stringify(result)}\n`).join("");
}

/**
 * One row for each landmark: image, face, landmark, name, x, y, score, and xx, xy, yy where there are covariances.
 * @param {Result[]} results
 */
export function toCsv(results) {
  const spread = results.some(({ faces }) => faces.some((face) => face.covariances));
  const columns = ["image", "face", "landmark", "name", "x", "y", "score", ...(spread ? ["xx", "xy", "yy"] : [])];
  const rows = results.flatMap(({ image, faces }) =>
    faces.flatMap((face, number) => faceRows(image, face, number, spread)),
  );
  return [columns, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

function faceRows(image, { names, keypoints, scores, covariances }, number, spread) {
  return names.map((name, k) => {
    const [x, y] = keypoints[k];
    const row = [image, number, k, name, digits(x, 3), digits(y, 3), digits(scores[k], 4)];
    const matrix = covariances?.[k];
    const values = matrix ? [matrix[0][0], matrix[0][1], matrix[1][1]] : [null, null, null];
    return spread ? [...row, ...values.map((value) => digits(value, 4))] : row;
  });
}

function digits(value, count) {
  return value === null || value === undefined ? "" : value.toFixed(count);
}

/** A field; a text that a spreadsheet would calculate stays as it is, as in Python. */
function quoted(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A number rounded for JSON; null where it is not finite.
 * @param {number} value
 * @param {number} count digits after the point
 */
export function rounded(value, count) {
  return Number.isFinite(value) ? Number(value.toFixed(count)) : null;
}

/** The name of a file to save for pictures: of one its own name, of several "landmarks". */
export function fileName(/** @type {Result[]} */ results, /** @type {string} */ ending) {
  const name = results.length === 1 ? results[0].image.replace(/\.[^.]*$/, "").replace(/[^\w .-]/g, "_") : "";
  return `${name || "landmarks"}.${ending}`;
}
