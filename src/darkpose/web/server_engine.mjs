// Landmarks by the API of `darkpose serve`.

import { Sentence } from "./messages.mjs";
import { fileOf } from "./picture.mjs";

const REFUSED = 1008; // code of a WebSocket that is closed for the token or an option
const GONE = "The server cannot be reached: is it still running?";

/** @implements {import("./engine.mjs").Engine} */
export class ServerEngine {
  /**
   * @param {URL} base the folder of the page
   * @param {(wasWrong: boolean) => Promise<string>} askToken
   */
  constructor(base, askToken) {
    Object.assign(this, { base, askToken, facts: null });
    this.token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  }

  get where() {
    const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(this.base.hostname);
    return isHere
      ? `Your pictures stay on this computer: they go to ${this.base.host}, which does not keep them.`
      : `Your pictures go to ${this.base.host}, which does not keep them.`;
  }

  async load() {
    if (this.facts.has_token && !this.token) this.token = await this.askToken(false);
  }

  async find(picture, schema) {
    const query = new URLSearchParams({ schema: schema.name, covariance: "true" });
    const found = await this.#found(picture, query);
    if (picture.boxes.length === 0) return found;
    const boxes = { boxes: picture.boxes.map((box) => box.join(",")).join(";"), box_kind: "square" };
    const drawn = await this.#found(picture, new URLSearchParams([...query, ...Object.entries(boxes)]));
    return { ...found, faces: [...found.faces, ...drawn.faces] };
  }

  async #found(picture, query) {
    const answer = await this.ask(`v1/landmarks?${query}`, { method: "POST", body: picture.file });
    return { ...(await answer.json()), image: picture.name };
  }

  /**
   * An answer of the server, or of the folder; asks for a token where one is needed, and waits for a busy server.
   * @param {string} address relative to the page
   * @param {RequestInit} [request]
   * @returns {Promise<Response>}
   * @throws {Sentence} what the server says
   */
  async ask(address, request = {}, tries = 5) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch(new URL(address, this.base), { ...request, headers }).catch(() => {
      throw new Sentence(GONE);
    });
    if (answer.ok) return answer;
    if (answer.status === 503 && tries > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After") ?? 1)));
      return this.ask(address, request, tries - 1);
    }
    if (answer.status === 401) {
      this.token = await this.askToken(this.token !== "");
      if (this.token) return this.ask(address, request);
      throw new Sentence("The server wants a token, which its owner knows.");
    }
    const { error } = await answer.json().catch(() => ({}));
    throw new Sentence(error ? upper(error) : `${address} cannot be loaded (status ${answer.status}).`);
  }

  async stream(schema, onResult, onError) {
    await this.load(); // asks for the token where the one before was wrong
    const address = new URL(`v1/frames?${new URLSearchParams({ schema: schema.name, smooth: "causal" })}`, this.base);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, ["darkpose", ...(this.token ? [`token.${this.token}`] : [])]);
    let [waiting, closed] = [false, false];
    socket.onmessage = ({ data }) => {
      waiting = false;
      const { error, ...result } = JSON.parse(data);
      if (closed) return;
      if (error) onError(new Sentence(upper(error)));
      else onResult({ ...result, image: "" });
    };
    socket.onclose = ({ code, reason }) => {
      if (code === REFUSED) this.token = "";
      if (!closed) onError(new Sentence(reason ? upper(reason) : GONE));
    };
    return {
      isReady: () => socket.readyState === WebSocket.OPEN && !waiting,
      send: async (source, width, height) => {
        waiting = true;
        const file = await fileOf(source, width, height, "image/jpeg");
        if (socket.readyState === WebSocket.OPEN) socket.send(file);
      },
      close: () => {
        closed = true;
        socket.close();
      },
    };
  }
}

function upper(sentence) {
  const text = String(sentence);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
