// The list of pictures and the table of landmarks.

/**
 * Show the list of pictures.
 * @param {import("./picture.mjs").Picture[]} pictures
 * @param {import("./picture.mjs").Picture | null} current
 * @param {(picture: import("./picture.mjs").Picture) => void} onChoose
 */
export function showPictures(pictures, current, onChoose) {
  document.getElementById("no-pictures").hidden = pictures.length > 0;
  document.getElementById("pictures").replaceChildren(
    ...pictures.map((picture) => {
      const [item, button] = [document.createElement("li"), document.createElement("button")];
      button.type = "button";
      button.setAttribute("aria-current", String(picture === current));
      button.append(thumbnail(picture), part("name", picture.name), part("told", countOf(picture)));
      button.addEventListener("click", () => onChoose(picture));
      item.append(button);
      return item;
    }),
  );
}

/** How many faces were found in a picture, for people. */
export function countOf({ result, failed }) {
  if (failed) return "failed";
  if (!result) return "looking ...";
  const count = result.faces.length;
  return count === 0 ? "no face found" : count === 1 ? "1 face" : `${count} faces`;
}

function part(kind, text) {
  const words = document.createElement("span");
  words.className = kind;
  words.textContent = text;
  return words;
}

function thumbnail({ bitmap, width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 84, height: 84 });
  const side = Math.min(width, height);
  canvas.getContext("2d").drawImage(bitmap, (width - side) / 2, (height - side) / 2, side, side, 0, 0, 84, 84);
  return canvas;
}

/** Show the landmarks of all faces as a table. */
export function showTable(/** @type {import("./picture.mjs").Face[]} */ faces) {
  document.getElementById("table").replaceChildren(
    ...faces.map((face, number) => {
      const table = document.createElement("table");
      table.createCaption().textContent = `Face ${number + 1}, mean score ${face.score}`;
      const head = table.createTHead().insertRow();
      for (const title of ["", "name", "x", "y", "score"]) {
        head.append(Object.assign(document.createElement("th"), { textContent: title, scope: "col" }));
      }
      const body = table.createTBody();
      face.names.forEach((name, k) => {
        const row = body.insertRow();
        row.insertCell().textContent = k;
        row.insertCell().append(...name.split(/(?<=_)/).flatMap((word) => [word, document.createElement("wbr")]));
        for (const value of face.keypoints[k]) row.insertCell().textContent = value?.toFixed(2) ?? "";
        row.insertCell().textContent = face.scores[k]?.toFixed(3) ?? "";
      });
      return table;
    }),
  );
}
