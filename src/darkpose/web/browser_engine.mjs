// Landmarks by this browser: a worker runs the networks, so that the page stays alive.

import { facesOf } from "./found_faces.mjs";
import { Sentence } from "./messages.mjs";
import { pixelsOf } from "./picture.mjs";

/** @implements {import("./engine.mjs").Engine} */
export class BrowserEngine {
  where = "Your pictures stay on this computer.";
  #waiting = new Map(); // number of a request -> its promise
  #found = new WeakMap(); // picture -> what was found in it, all schemas
  #worker = null;
  #number = 0;

  /** @param {import("./engine.mjs").Facts} facts */
  constructor(facts) {
    this.facts = facts;
  }

  /**
   * @param {(share: number | null, what: string) => void} report
   * @param {"wasm" | "webgpu"} backend
   */
  async load(report, backend = "wasm") {
    if (typeof WebAssembly !== "object") {
      throw new Sentence("This browser has no WebAssembly, which finds the landmarks: use a newer one, or allow it.");
    }
    if (backend === "webgpu" && !(await navigator.gpu?.requestAdapter())) {
      throw new Sentence("This browser has no WebGPU on this computer; the page goes on without it.");
    }
    const worker = new Worker(new URL("browser_worker.mjs", import.meta.url), { type: "module" });
    worker.onerror = ({ message = "it cannot be loaded" }) => {
      this.#end(worker, new Sentence(`The landmark program has stopped: ${message}.`));
    };
    worker.onmessage = ({ data }) => this.#answer(data, report);
    const [before, worked] = [this.#worker, this.#ask({ load: { ...this.facts.files, backend } }, [], worker)];
    await worked.catch((error) => {
      worker.terminate();
      throw error;
    });
    before?.terminate();
    [this.#worker, this.#found] = [worker, new WeakMap()];
  }

  async find(picture, schema) {
    let known = this.#found.get(picture) ?? { boxes: [], faces: await this.#facesIn(picture) };
    const fresh = picture.boxes.slice(known.boxes.length);
    if (fresh.length) known = { ...known, faces: [...known.faces, ...(await this.#facesIn(picture, fresh))] };
    this.#found.set(picture, { ...known, boxes: [...picture.boxes] });
    return this.#result(picture, known.faces, schema);
  }

  #facesIn({ bitmap, width, height }, boxes = null) {
    const pixels = pixelsOf(bitmap, width, height);
    return this.#ask({ find: { pixels, width, height, boxes } }, [pixels.buffer]);
  }

  #result({ name, width, height }, found, schema) {
    return { image: name, width, height, faces: facesOf(found, schema, this.facts.face_box) };
  }

  async stream(schema, onResult, onError) {
    let [waiting, closed] = [false, false];
    return {
      isReady: () => this.#worker !== null && !waiting,
      send: async (source, width, height) => {
        waiting = true;
        const picture = { name: "", bitmap: source, width, height };
        await this.#facesIn(picture)
          .then((found) => closed || onResult(this.#result(picture, found, schema)), onError)
          .finally(() => (waiting = false));
      },
      close: () => (closed = true),
    };
  }

  #ask(request, moved, worker = this.#worker) {
    if (worker === null) return Promise.reject(new Sentence("The landmark program is not there: load the page again."));
    return new Promise((resolve, reject) => {
      this.#waiting.set(++this.#number, { resolve, reject, worker });
      worker.postMessage({ number: this.#number, ...request }, moved);
    });
  }

  #answer({ number, found, error, share, what }, report) {
    if (what !== undefined) return report(share, what);
    const { resolve, reject } = this.#waiting.get(number) ?? {};
    this.#waiting.delete(number);
    if (error) reject?.(new Sentence(error));
    else resolve?.(found);
  }

  #end(worker, error) {
    for (const [number, each] of this.#waiting) {
      if (each.worker !== worker) continue;
      this.#waiting.delete(number);
      each.reject(error);
    }
    if (this.#worker === worker) this.#worker = null;
  }
}
