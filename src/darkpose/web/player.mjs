// The video or the camera in place of a picture, with its buttons.

import { choose } from "./hover.mjs";
import { countOf } from "./lists.mjs";
import { say } from "./messages.mjs";

const $ = (id) => document.getElementById(id);

export class Player {
  /** @type {import("./moving.mjs").Moving | null} */
  moving = null;

  /**
   * @param {import("./view.mjs").View} view
   * @param {(onResult: Function, onError: Function) => Promise<import("./engine.mjs").Stream>} openStream
   * @param {(error: Error | null) => void} onClose
   */
  constructor(view, openStream, onClose) {
    Object.assign(this, { view, openStream, onClose });
    $("play").addEventListener("click", () => (this.#video.paused ? this.#video.play() : this.#video.pause()));
    $("close").addEventListener("click", () => this.close());
    $("seek").addEventListener("input", () => (this.#video.currentTime = $("seek").value * this.#video.duration));
  }

  get #video() {
    return this.moving.video;
  }

  /** Play in place of what is there; the scene of the view shows its frames. */
  open(/** @type {import("./moving.mjs").Moving} */ moving) {
    this.moving?.close();
    this.moving = moving;
    $("player").hidden = false;
    for (const id of ["seek", "play"]) $(id).hidden = moving.isCamera;
    $("keep").textContent = moving.isCamera ? "Take a picture" : "Keep this picture";
    say(`${moving.name}: looking for faces ...`);
    this.stream();
    moving.video.play();
    requestAnimationFrame(() => this.#tick(moving));
  }

  /** Send the frames to a new stream, for example of another schema. */
  async stream() {
    const { moving } = this;
    const onError = (error) => moving === this.moving && this.close(error);
    try {
      moving.sendTo(await this.openStream((faces) => moving === this.moving && this.#show(faces), onError));
    } catch (error) {
      onError(error);
    }
  }

  #show(faces) {
    const told = `${this.moving.name}: ${countOf({ result: { faces } })}`;
    Object.assign(this.view.scene, { faces });
    choose(this.view, null);
    if ($("status").textContent !== told) say(told); // so that screen readers do not repeat it
    this.view.canvas.setAttribute("aria-label", told);
  }

  #tick(moving) {
    if (moving !== this.moving) return;
    const { video } = moving;
    $("play").textContent = video.paused ? "Play" : "Pause";
    if (!video.seeking) $("seek").value = video.currentTime / video.duration || 0;
    moving.tick();
    this.view.draw();
    requestAnimationFrame(() => this.#tick(moving));
  }

  /** Go back to the pictures. */
  close(/** @type {Error | null} */ error = null) {
    if (!this.moving) return;
    this.moving.close();
    this.moving = null;
    $("player").hidden = true;
    this.onClose(error);
  }
}
