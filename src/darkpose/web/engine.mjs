// What finds landmarks: a server, or this browser. Both have the same interface.

import { BrowserEngine } from "./browser_engine.mjs";
import { Sentence } from "./messages.mjs";
import { ServerEngine } from "./server_engine.mjs";

/**
 * @typedef {Object} Facts of the server, or of the static folder
 * @property {"server" | "browser"} engine
 * @property {string} version
 * @property {string} weights
 * @property {string} runtime
 * @property {Schema[]} schemas the first is the usual one
 * @property {{bytes: number, pixels: number}} limits of a picture
 * @property {Object} [files] of the static folder, see `scripts/build_site.py`
 *
 * @typedef {{name: string, names: string[], outlines: number[][], flip_pairs: number[][]}} Schema
 *
 * @typedef {Object} Engine
 * @property {string} where one sentence: where the pictures go
 * @property {(report: (share: number | null, what: string) => void) => Promise<void>} load
 * @property {(picture: Picture, schema: Schema) => Promise<Result>} find the faces of a picture, and those in its boxes
 * @property {(schema: Schema, onResult: (result: Result) => void, onError: (error: Error) => void) => Promise<Stream>}
 *   stream
 *
 * @typedef {Object} Stream of frames; only the newest counts
 * @property {() => boolean} isReady whether it takes another frame
 * @property {(source: CanvasImageSource, width: number, height: number) => Promise<void>} send
 * @property {() => void} close
 *
 * @typedef {import("./picture.mjs").Picture} Picture
 * @typedef {import("./picture.mjs").Result} Result
 */

/**
 * The engine that this page was delivered with.
 * @param {(wasWrong: boolean) => Promise<string>} askToken asks the user for the server's token; "" if there is none
 * @returns {Promise<{engine: Engine, facts: Facts}>}
 * @throws {Sentence} it cannot be reached
 */
export async function openEngine(askToken) {
  const address = document.querySelector('meta[name="darkpose-model"]').content;
  const server = new ServerEngine(new URL(".", document.baseURI), askToken);
  const facts = await (await server.ask(address)).json().catch(() => {
    throw new Sentence(`${address} is not what this page expects: is the folder whole?`);
  });
  if (facts.engine === "browser") return { engine: new BrowserEngine(facts), facts };
  server.facts = facts;
  return { engine: server, facts };
}
