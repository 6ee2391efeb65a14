// The chosen cell: its fate in words, its pictures, neighbours, qualities, note and labels. Text is only ever text.

import { getJson, getPacked } from "./api.js";
import { NEIGHBOURS } from "./drawing.js";
import { text } from "./list.js";
import { aboutChosen, choose, count, decide, emit, mark, on, present, say, setFrame, state, statusOf, timeOf } from "./store.js";

const find = (id) => document.getElementById(id);
const ask = aboutChosen(getJson), askPictures = aboutChosen(getPacked);
let details = null, known = "";
const drafts = new Map(); // cell -> { typed, underway }: a note that the server hasn't taken yet, or hasn't taken

// What the server's words about a cell depend on; for one that was made by hand, also on what became of its regression.
const regression = (cell) => (state.standing.origin[cell] === "found" ? "" : `${state.failures} ${state.recording?.state}`);
const fate = (cell) => `${cell} ${state.standing.verdict[cell]} ${state.standing.replacedBy[cell]} ${regression(cell)}`;

async function load() {
  const cell = state.chosen;
  known = fate(cell);
  if (details?.cell !== cell) state.neighbours = []; // a key pressed before the answer marks none of the cell before
  head();
  const answer = await ask(`cell/${cell}`);
  if (!answer) return;
  details = answer;
  state.neighbours = details.neighbours.map((item) => item.cell);
  state.events = details.events;
  find("events").textContent = details.events.length ? `${details.events.length} ${details.events.length > 1 ? "events" : "event"}, ${text(details.perMinute)} a minute` : "no event";
  words();
  footprint();
  neighbours();
  qualities();
  find("cell").dataset.cell = String(cell);
  emit("details");
  moments();
}

function head() {
  const cell = state.chosen, { standing } = state, status = statusOf(cell), verdict = standing.verdict[cell];
  find("cell-name").textContent = `Cell ${cell}${standing.origin[cell] === "found" ? "" : `, ${standing.origin[cell]}`}`;
  find("words").className = status;
  find("accept").setAttribute("aria-pressed", String(verdict > 0));
  find("reject").setAttribute("aria-pressed", String(verdict < 0));
  const there = present(cell) && state.writable;
  for (const id of ["accept", "reject", "split", "cut"]) find(id).disabled = !there;
  find("reset").disabled = !there || verdict === 0;
  for (const id of ["note", "label"]) find(id).disabled = !state.writable;
  if (document.activeElement !== find("note") || find("note").dataset.cell !== String(cell)) find("note").value = drafts.get(cell)?.typed ?? standing.notes[cell] ?? "";
  find("note").dataset.cell = cell;
  labels();
  marked();
}

function words() {
  find("words").textContent = `${details.words} ${details.regression}`.trim();
  if (details.when) find("words").title = `${details.who}, ${new Date(details.when).toLocaleString()}`;
  else find("words").removeAttribute("title");
  say(`Cell ${details.cell}. ${details.words} ${details.regression}`);
}

function footprint() {
  const canvas = find("footprint"), { footprint: shape } = details, side = Math.max(shape.height, shape.width, 5);
  Object.assign(canvas, { width: side, height: side });
  const pen = canvas.getContext("2d"), image = pen.createImageData(side, side);
  const top = Math.floor((side - shape.height) / 2), left = Math.floor((side - shape.width) / 2);
  for (let y = 0; y < shape.height; y++) for (let x = 0; x < shape.width; x++) image.data.fill(shape.values[y * shape.width + x], 4 * ((y + top) * side + x + left), 4 * ((y + top) * side + x + left) + 3);
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
  pen.putImageData(image, 0, 0);
  canvas.setAttribute("aria-label", `Footprint, ${shape.height - 2} by ${shape.width - 2} pixels`);
}

function neighbours() {
  find("neighbours").replaceChildren(...details.neighbours.map((item, i) => {
    const entry = document.createElement("li"), button = document.createElement("button"), dot = document.createElement("i"), name = document.createElement("span"), key = document.createElement("kbd");
    dot.style.background = NEIGHBOURS[i];
    name.textContent = `${item.cell} · ${item.distance.toFixed(1)} px · r ${item.correlation.toFixed(2)} · ${Math.round(100 * (item.shared || 0))}% shared`;
    button.title = "Marks it to be merged; with Shift it is chosen";
    key.textContent = String(i + 1);
    button.type = "button";
    button.dataset.cell = item.cell;
    button.setAttribute("aria-pressed", String(state.marked.has(item.cell)));
    button.setAttribute("aria-label", `Mark neighbour ${item.cell}, ${statusOf(item.cell)}, ${text(item.distance)} pixels away, correlation ${text(item.correlation)}, shares ${Math.round(100 * (item.shared || 0))} per cent`);
    button.append(dot, name, key);
    button.addEventListener("click", (event) => (event.shiftKey ? choose(item.cell) : mark(item.cell)));
    entry.append(button);
    return entry;
  }));
}

function qualities() {
  find("tests").replaceChildren(...details.tests.map((test) => {
    const entry = document.createElement("li");
    entry.className = test.passed ? "" : "failed";
    entry.textContent = test.words;
    return entry;
  }));
  const tested = new Set(details.tests.map((test) => test.name)), parts = [];
  for (const [name, values] of Object.entries(state.rows.quality)) {
    if (tested.has(name)) continue;
    const term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = state.meanings[name] || name;
    value.textContent = text(values[details.cell]);
    parts.push(term, value);
  }
  const [y, x] = state.rows.centers[details.cell], [sy, sx] = details.std;
  const place = document.createElement("dt"), where = document.createElement("dd");
  place.textContent = "centre (y, x), pixels";
  where.textContent = `${text(y)} ± ${text(sy)}, ${text(x)} ± ${text(sx)}`;
  find("qualities").replaceChildren(...parts, place, where);
}

// The brightest moments, cut out of the movie around the cell.
async function moments() {
  const { cell, moments: frames } = details, box = find("moments");
  const buttons = frames.map((frame) => {
    const button = document.createElement("button"), canvas = document.createElement("canvas"), time = document.createElement("span");
    button.type = "button";
    time.textContent = `${timeOf(frame).toFixed(1)} s`;
    button.setAttribute("aria-label", `Brightest moment at ${timeOf(frame).toFixed(1)} seconds`);
    canvas.width = canvas.height = 1;
    if (state.modes.length) button.append(canvas);
    button.append(time);
    button.addEventListener("click", () => setFrame(frame));
    return button;
  });
  box.replaceChildren(...buttons);
  const [cy, cx] = state.rows.centers[cell];
  if (!state.modes.length || !frames.length || cy === null) return;
  const sorted = [...frames].sort((a, b) => a - b), mode = state.modes.includes("corrected") ? "corrected" : state.modes[0];
  const half = Math.ceil(1.6 * state.facts.diameter);
  const crop = `${Math.round(cy) - half},${Math.round(cy) + half + 1},${Math.round(cx) - half},${Math.round(cx) + half + 1}`;
  let answer = null;
  try {
    answer = await askPictures(`frames/${mode}?index=${sorted.join(",")}&crop=${crop}`);
  } catch {
    // the times are there without pictures
  }
  if (!answer) return;
  const { about, buffer, offset } = answer, values = new Uint8Array(buffer, offset), size = about.height * about.width;
  const low = values.reduce((a, b) => Math.min(a, b), 255), high = Math.max(low + 1, values.reduce((a, b) => Math.max(a, b), 0));
  frames.forEach((frame, i) => {
    const place = about.frames.indexOf(frame), canvas = buttons[i].querySelector("canvas");
    if (place < 0 || !canvas) return;
    Object.assign(canvas, { width: about.width, height: about.height });
    const pen = canvas.getContext("2d"), image = pen.createImageData(about.width, about.height);
    for (let k = 0; k < size; k++) image.data.set(Array(3).fill((255 * (values[place * size + k] - low)) / (high - low)).concat(255), 4 * k);
    pen.putImageData(image, 0, 0);
  });
}

function labels() {
  const cell = state.chosen, given = state.standing.labels[cell] || [];
  find("labels").replaceChildren(...given.map((label) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${label} ×`;
    button.setAttribute("aria-label", `Take the label ${label} away`);
    button.addEventListener("click", () => decide({ do: "label", cells: [cell], label, given: false }));
    return button;
  }));
  const known = new Set(Object.values(state.standing.labels).flat());
  find("known-labels").replaceChildren(...[...known].sort().map((label) => new Option(label)));
}

function marked() {
  const cells = toMerge();
  find("merge").disabled = cells.length < 2 || !state.writable;
  find("merge").firstChild.textContent = cells.length > 1 ? `Merge ${cells.join(" + ")}` : "Merge marked";
  for (const button of find("neighbours").querySelectorAll("button")) button.setAttribute("aria-pressed", String(state.marked.has(Number(button.dataset.cell))));
}

// The marked ones, and the chosen one with them.
export function toMerge() {
  const cells = new Set(state.marked);
  if (cells.size && state.chosen !== null && present(state.chosen)) cells.add(state.chosen);
  return [...cells].sort((a, b) => a - b);
}

async function keepNote() {
  const typed = find("note").value, cell = Number(find("note").dataset.cell), before = drafts.get(cell);
  if (!(cell < count()) || typed === (before?.underway ? before.typed : state.standing.notes[cell] || "")) return;
  const draft = { typed, underway: true };
  drafts.set(cell, draft);
  const taken = await decide({ do: "note", cell, text: typed });
  draft.underway = false;
  if (taken && drafts.get(cell) === draft) drafts.delete(cell);
}

export function start() {
  find("note").addEventListener("blur", keepNote);
  addEventListener("pagehide", keepNote);
  find("note").addEventListener("keydown", (event) => {
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      find("note").blur();
      find("cell").focus();
    }
  });
  find("label").addEventListener("keydown", (event) => {
    if (event.key === "Escape") find("cell").focus();
    if (event.key !== "Enter" || !find("label").value.trim()) return;
    decide({ do: "label", cells: [state.chosen], label: find("label").value.trim(), given: true });
    find("label").value = "";
    find("cell").focus();
  });
  on("chosen", load);
  on("rows", () => state.chosen !== null && load());
  on("standing", () => {
    if (state.chosen === null) return;
    if (fate(state.chosen) === known) head();
    else load();
  });
  on("news", () => state.chosen !== null && fate(state.chosen) !== known && load());
  on("marked", () => state.chosen !== null && marked());
}
