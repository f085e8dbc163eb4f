// The pictures of the page, and the landmarks that are looked for in them, one picture after the other.

/**
 * @typedef {import("./picture.mjs").Picture} Picture
 */
export class Album {
  /** @type {Picture[]} */
  pictures = [];
  /** @type {Picture | null} */
  current = null;
  #queue = Promise.resolve();

  /**
   * @param {() => void} onChange the list or a result has changed
   * @param {(picture: Picture) => Promise<import("./picture.mjs").Result>} find
   * @param {(picture: Picture, error: Error) => void} onError
   */
  constructor(onChange, find, onError) {
    Object.assign(this, { onChange, find, onError });
  }

  /** Add a picture, show it, and look for its landmarks. */
  add(/** @type {Picture} */ picture) {
    this.pictures.push(picture);
    this.choose(picture);
    return this.look(picture);
  }

  choose(/** @type {Picture | null} */ picture) {
    this.current = picture;
    this.onChange();
  }

  /** Show the picture before or after the current one. */
  turn(by) {
    const index = this.pictures.indexOf(this.current) + by;
    if (this.pictures[index]) this.choose(this.pictures[index]);
  }

  /** Look for the landmarks of a picture after those that wait. */
  look(/** @type {Picture} */ picture) {
    this.#queue = this.#queue.then(async () => {
      if (!this.pictures.includes(picture)) return; // taken away meanwhile
      try {
        const result = await this.find(picture);
        Object.assign(picture, { result, failed: false });
      } catch (error) {
        Object.assign(picture, { failed: true });
        this.onError(picture, error);
      }
      this.onChange(picture);
    });
    return this.#queue;
  }

  /** Take the last picture away. */
  undo() {
    const last = this.pictures.pop();
    if (!last) return null;
    this.choose(this.current === last ? (this.pictures.at(-1) ?? null) : this.current);
    last.bitmap.close();
    return last;
  }

  /** The results that are there, in the order of the pictures. */
  results() {
    return this.pictures.flatMap(({ result }) => (result ? [result] : []));
  }
}
