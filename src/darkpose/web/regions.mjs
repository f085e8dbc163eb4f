// Regions of the face by words in the names of landmarks, as `darkpose.schema.regions`. Pure functions.

export const REGIONS = {
  contour: ["contour", "chin"],
  brows: ["brow"],
  eyes: ["eye", "pupil"],
  nose: ["nose", "nostril"],
  mouth: ["mouth", "lip"],
};

/** The region of a landmark by its name; "" for none. */
export function regionOf(/** @type {string} */ name) {
  const words = name.split("/").at(-1).split("_");
  return Object.keys(REGIONS).find((region) => REGIONS[region].some((word) => words.includes(word))) ?? "";
}

/**
 * The regions of a schema.
 * @param {string[]} names of its landmarks
 * @returns {Map<string, number[]>} region -> indices of its landmarks, without empty ones
 */
export function regionsOf(names) {
  const found = new Map(Object.keys(REGIONS).map((region) => [region, []]));
  names.forEach((name, index) => found.get(regionOf(name))?.push(index));
  return new Map([...found].filter(([, indices]) => indices.length));
}
