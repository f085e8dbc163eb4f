// Pictures that move: a video file or the camera, with the landmarks of the newest frame.

import { Sentence } from "./messages.mjs";
import { fileOf } from "./picture.mjs";
import { printable } from "./picture_header.mjs";

const REFUSED = {
  NotAllowedError: "The camera was refused: allow it for this page in the browser's settings, and try again.",
  NotFoundError: "No camera was found on this computer.",
  NotReadableError: "The camera cannot be started: another program may use it.",
  OverconstrainedError: "The camera gives no pictures that this page can use.",
};

/** The sentence of an error of the camera. */
export function refusedCamera(/** @type {Error} */ error) {
  return REFUSED[error.name] ?? `The camera cannot be started (${error.message}).`;
}

/**
 * The camera as a video.
 * @returns {Promise<Moving>}
 * @throws {Sentence}
 */
export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Sentence("Browsers give the camera only to pages of https:// addresses or of this computer.");
  }
  const wanted = { video: { width: { ideal: 1280 }, facingMode: "user" }, audio: false };
  const stream = await navigator.mediaDevices.getUserMedia(wanted).catch((error) => {
    throw new Sentence(refusedCamera(error));
  });
  const video = element();
  video.srcObject = stream;
  return ready(new Moving(video, "camera", () => stream.getTracks().forEach((track) => track.stop())));
}

/**
 * A video file.
 * @param {File} file
 * @returns {Promise<Moving>}
 * @throws {Sentence}
 */
export async function openVideo(file) {
  const [video, address] = [element(), URL.createObjectURL(file)];
  video.src = address;
  return ready(new Moving(video, printable(file.name), () => URL.revokeObjectURL(address)));
}

function element() {
  return Object.assign(document.createElement("video"), { muted: true, playsInline: true });
}

async function ready(/** @type {Moving} */ moving) {
  await new Promise((resolve, reject) => {
    moving.video.onloadeddata = resolve;
    moving.video.onerror = reject;
  }).catch(() => {
    moving.close();
    throw new Sentence(`${moving.name} is damaged, or a video that this browser cannot play.`);
  });
  if (!moving.width) {
    moving.close();
    throw new Sentence(`${moving.name} has no pictures, only sound.`);
  }
  return moving;
}

/** A video whose frames are sent to a stream of an engine whenever it takes one. */
export class Moving {
  #free;
  #stream = null;
  #isOpen = true;
  #sent = -1; // time of the last frame that was sent, s

  constructor(video, name, free) {
    Object.assign(this, { video, name });
    this.#free = free;
  }

  get width() {
    return this.video.videoWidth;
  }

  get height() {
    return this.video.videoHeight;
  }

  get isCamera() {
    return this.video.srcObject !== null;
  }

  /** Send the frames to a stream from now on; the one before is closed. */
  sendTo(/** @type {import("./engine.mjs").Stream} */ stream) {
    this.#stream?.close();
    this.#stream = stream;
    this.#sent = -1;
  }

  /** Call after every frame of the screen; sends the frame where it is a new one and the stream takes it. */
  async tick() {
    const now = this.video.currentTime;
    if (!this.#isOpen || !this.#stream?.isReady() || now === this.#sent || this.video.readyState < 2) return;
    this.#sent = now;
    await this.#stream.send(this.video, this.width, this.height);
  }

  /** The frame as a file. */
  async keep() {
    const time = this.isCamera ? "" : `-${this.video.currentTime.toFixed(2)}s`;
    const file = await fileOf(this.video, this.width, this.height, "image/png");
    return { file, name: `${this.name.replace(/\.[^.]*$/, "")}${time}.png` };
  }

  close() {
    this.#isOpen = false;
    this.#stream?.close();
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.srcObject = null;
    this.#free();
  }
}
