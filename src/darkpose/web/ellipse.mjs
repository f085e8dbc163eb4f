// Ellipses of covariances, and the landmark under the pointer. Pure functions.

export const LEVEL = 0.95; // share of landmarks that should be inside their ellipses
const RADIUS = Math.sqrt(-2 * Math.log1p(-LEVEL)); // of the chi^2 distribution with 2 degrees of freedom

/**
 * The ellipse that holds 95 % of a Gaussian.
 * @param {number[][] | null | undefined} covariance [[xx, xy], [xy, yy]]
 * @returns {{long: number, short: number, angle: number} | null} half axes, and the angle of the long one in radians
 */
export function ellipseOf(covariance) {
  if (!covariance) return null;
  const [[xx, xy], [, yy]] = covariance;
  const [mean, radius] = [(xx + yy) / 2, Math.hypot((xx - yy) / 2, xy)];
  const [long, short] = [mean + radius, mean - radius].map((value) => RADIUS * Math.sqrt(Math.max(value, 0)));
  return { long, short, angle: Math.atan2(2 * xy, xx - yy) / 2 };
}

/**
 * The landmark nearest to a place.
 * @param {import("./picture.mjs").Face[]} faces
 * @param {number} x px of the picture
 * @param {number} y
 * @param {number} within px
 * @param {(name: string) => boolean} isShown
 * @returns {{face: number, index: number} | null}
 */
export function nearest(faces, x, y, within, isShown) {
  let [found, least] = [null, within];
  faces.forEach(({ keypoints, names }, face) =>
    keypoints.forEach(([u, v], index) => {
      const distance = Math.hypot(u - x, v - y);
      if (distance <= least && isShown(names[index])) [found, least] = [{ face, index }, distance];
    }),
  );
  return found;
}

/**
 * What the page tells of a landmark, in lines.
 * @param {import("./picture.mjs").Face[]} faces
 * @param {{face: number, index: number}} at
 */
export function describe(faces, { face, index }) {
  const { names, keypoints, scores, covariances } = faces[face];
  const [x, y] = keypoints[index].map((value) => value?.toFixed(2));
  const lines = [`${index}  ${names[index]}`, `x ${x}, y ${y} px`, `score ${scores[index]?.toFixed(3)}`];
  const ellipse = ellipseOf(covariances?.[index]);
  if (ellipse) lines.push(`95 % within ${ellipse.long.toFixed(2)} and ${ellipse.short.toFixed(2)} px`);
  return faces.length > 1 ? [`face ${face + 1} of ${faces.length}`, ...lines] : lines;
}
