// The page: joins the parts.

import { Album } from "./album.mjs";
import { copyJson, saveCsv, saveJson, savePng } from "./downloads.mjs";
import { openEngine } from "./engine.mjs";
import { choose, hover, step } from "./hover.mjs";
import { isVideo, takeFiles } from "./intake.mjs";
import { bindKeys } from "./keys.mjs";
import { countOf, showPictures, showTable } from "./lists.mjs";
import { clearMessages, say, sentenceOf, showProgress, tell } from "./messages.mjs";
import { openCamera, openVideo } from "./moving.mjs";
import { openPicture } from "./picture.mjs";
import { Player } from "./player.mjs";
import { bindSettings, offerRegions, shown } from "./settings.mjs";
import { askToken } from "./token.mjs";
import { View } from "./view.mjs";

const $ = (id) => document.getElementById(id);
const SAMPLE = "sample.jpg";

let [engine, facts, schema, loaded] = [null, null, null, null];
const view = new View($("view"), shown, {
  onBox: (box) => addBox(box),
  onHover: (x, y) => view.scene && hover(view, x, y),
  onLeave: () => choose(view, null),
  onMove: () => choose(view, view.chosen),
});
const player = new Player(view, openStream, (error) => {
  onChange();
  if (error) tell(sentenceOf(error));
});
const album = new Album(onChange, findIn, (picture, error) => tell(`${picture.name}: ${sentenceOf(error)}`));

/** Do something, and tell what fails. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    tell(sentenceOf(error));
  }
}

async function start() {
  ({ engine, facts } = await openEngine(askToken));
  $("where").textContent = engine.where;
  $("docs").href = facts.files?.documents ?? "docs";
  for (const { name, outlines } of facts.schemas) {
    $("schema").append(new Option(name));
    view.outlines[name] = outlines;
  }
  setSchema(facts.schemas[0].name);
  $("webgpu-row").hidden = !(facts.files && navigator.gpu);
  await load("wasm");
}

/** Load the engine; pictures that are added meanwhile wait. */
function load(backend) {
  loaded = engine.load(report, backend).finally(() => showProgress(null));
  loaded.then(
    () => say(album.current ? "" : "Ready."),
    () => {},
  );
  return loaded;
}

function report(share, what) {
  showProgress(share);
  say(what);
}

async function findIn(picture) {
  await loaded;
  showProgress(NaN);
  say(`${picture.name}: looking for faces ...`);
  return engine.find(picture, schema).finally(() => showProgress(null));
}

/** Show what has changed; of a picture: its result. */
function onChange(picture = null) {
  showPictures(album.pictures, album.current, choosePicture);
  const results = album.results();
  for (const id of ["save-json", "save-csv", "copy-json"]) $(id).disabled = !results.length;
  $("undo").disabled = !album.pictures.length;
  if (picture?.result) say(spoken(picture));
  if (!player.moving) showCurrent(picture !== null);
}

function choosePicture(picture) {
  player.close();
  album.choose(picture);
}

function spoken({ name, result }) {
  const hint = result.faces.length ? "" : ": choose “Box”, and draw one from the eyebrows to the chin";
  const unsure = result.faces.some(({ reliable }) => !reliable) ? "; the landmarks of some are not reliable" : "";
  return `${name}: ${countOf({ result })}${unsure}${hint}.`;
}

function showCurrent(keepsPlace) {
  const { current } = album;
  $("empty").hidden = current !== null;
  for (const id of ["save-png", "draw-box"]) $(id).disabled = current === null;
  $("to-faces").disabled = !current?.result?.faces.length;
  if (current === null) return showScene(null, "No picture");
  const { bitmap, width, height, result } = current;
  showScene(
    { source: bitmap, width, height, faces: result?.faces ?? [], keepsPlace },
    `${current.name}, ${countOf(current)}`,
  );
}

function showScene(scene, label) {
  $("view").setAttribute("aria-label", label);
  $("tip").hidden = true;
  view.show(scene);
  if ($("table-part").open) showTable(scene?.faces ?? []);
}

async function addFiles(files) {
  clearMessages();
  for (const file of files) {
    if (isVideo(file)) await attempt(async () => play(await openVideo(file)));
    else await attempt(() => addPicture(file, file.name || "pasted picture"));
  }
}

async function addPicture(file, name) {
  if (!facts) return tell("The page is not ready yet.");
  const picture = await openPicture(file, name, facts.limits);
  player.close();
  if (picture.kind === "gif") tell(`${picture.name}: of a GIF file, the first picture is used.`, "note");
  album.add(picture);
}

async function addSample() {
  const answer = await fetch(SAMPLE).catch(() => null);
  if (!answer?.ok) return tell("The sample picture cannot be loaded.");
  await addPicture(await answer.blob(), SAMPLE);
}

function addBox(box) {
  setBoxing(false);
  if (!album.current || player.moving) return;
  album.current.boxes.push(box);
  album.look(album.current);
}

function setBoxing(on) {
  view.isBoxing = on;
  $("draw-box").setAttribute("aria-pressed", String(on));
  $("view").classList.toggle("boxing", on);
  if (on) say("Draw a box around a face, from the eyebrows to the chin; Enter takes the part that is shown.");
}

function setSchema(name) {
  schema = facts.schemas.find((each) => each.name === name);
  $("schema").value = name;
  offerRegions(schema.names);
  lookAgain();
  if (player.moving) player.stream();
}

function lookAgain() {
  for (const picture of album.pictures) {
    picture.result = null;
    album.look(picture);
  }
}

function play(moving) {
  const { video, width, height, name } = moving;
  $("empty").hidden = true;
  for (const id of ["save-png", "draw-box"]) $(id).disabled = true;
  $("to-faces").disabled = false;
  showScene({ source: video, width, height, faces: [] }, name);
  player.open(moving);
}

async function openStream(onFaces, onError) {
  await loaded;
  return engine.stream(schema, ({ faces }) => onFaces(faces), onError);
}

async function keep() {
  const { file, name } = await player.moving.keep();
  await addPicture(file, name);
}

function undo() {
  if (player.moving) return player.close();
  const gone = album.undo();
  if (gone) say(`${gone.name} was taken away.`);
}

async function useWebgpu({ target }) {
  const worked = await attempt(() => load(target.checked ? "webgpu" : "wasm").then(() => true));
  if (!worked) [target.checked, loaded] = [false, Promise.resolve()]; // the one before is still there
  lookAgain();
}

function bind() {
  const click = (id, action) => $(id).addEventListener("click", (event) => attempt(() => action(event)));
  takeFiles(addFiles, (sentence) => tell(sentence));
  click("camera", async () => play(await openCamera()));
  click("sample", addSample);
  click("undo", undo);
  click("draw-box", () => setBoxing(!view.isBoxing));
  click("zoom-in", () => view.zoom(1));
  click("zoom-out", () => view.zoom(-1));
  click("fit", () => view.fit());
  click("to-faces", () => view.fitFaces());
  click("keep", keep);
  click("save-json", () => saveJson(album.results()));
  click("save-csv", () => saveCsv(album.results()));
  click("save-png", () => savePng(view, album.current.name));
  click("copy-json", () => copyJson(album.results()).then(() => say("The JSON text was copied.")));
  $("schema").addEventListener("change", () => setSchema($("schema").value));
  $("webgpu").addEventListener("change", useWebgpu);
  $("table-part").addEventListener("toggle", () => $("table-part").open && showTable(view.scene?.faces ?? []));
  bindSettings(() => {
    choose(view, null);
    view.draw();
  });
  const panned = (x, y) => () => view.pan(40 * x, 40 * y);
  const zoomed = { "+": () => view.zoom(1), "=": () => view.zoom(1), "-": () => view.zoom(-1), 0: () => view.fit() };
  const toggles = {
    n: "show-numbers",
    e: "show-ellipses",
    o: "show-outlines",
    x: "show-boxes",
    b: "draw-box",
    f: "to-faces",
  };
  bindKeys(
    {
      ...zoomed,
      ...Object.fromEntries(Object.entries(toggles).map(([key, id]) => [key, () => $(id).click()])),
      "[": () => view.scene && step(view, -1),
      "]": () => view.scene && step(view, 1),
      PageUp: () => album.turn(-1),
      PageDown: () => album.turn(1),
      "Ctrl+z": undo,
      Escape: () => (setBoxing(false), choose(view, null)),
    },
    {
      ArrowLeft: panned(1, 0),
      ArrowRight: panned(-1, 0),
      ArrowUp: panned(0, 1),
      ArrowDown: panned(0, -1),
      Enter: () => view.isBoxing && addBox(view.visibleBox()),
    },
  );
}

bind();
await attempt(start);
