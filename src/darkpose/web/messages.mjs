// Sentences for people.

/** An error whose message is a sentence for people. */
export class Sentence extends Error {}

/**
 * The sentence of any error.
 * @param {unknown} error
 */
export function sentenceOf(error) {
  if (error instanceof Sentence) return error.message;
  return `Something went wrong in the page: ${error instanceof Error ? error.message : error}`;
}

/**
 * Show a sentence above the picture until it is taken away. The newest three stay.
 * @param {string} text
 * @param {"error" | "note"} kind
 */
export function tell(text, kind = "error") {
  const place = document.getElementById("messages");
  for (const shown of [...place.children]) if (shown.firstChild.textContent === text) shown.remove();
  const message = document.createElement("div");
  message.className = `message ${kind}`;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "OK";
  close.addEventListener("click", () => message.remove());
  message.append(words, close);
  place.append(message);
  while (place.children.length > 3) place.firstChild.remove();
}

/** Take all sentences away. */
export function clearMessages() {
  document.getElementById("messages").replaceChildren();
}

/** Tell what happens under the picture, also to screen readers. */
export function say(/** @type {string} */ text) {
  document.getElementById("status").textContent = text;
}

/**
 * Show how far something is.
 * @param {number | null} share 0 to 1; NaN: not known; null: done
 */
export function showProgress(share) {
  const bar = document.getElementById("progress");
  bar.hidden = share === null;
  if (share === null || Number.isNaN(share)) bar.removeAttribute("value");
  else bar.value = share;
}
