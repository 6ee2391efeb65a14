// What each key does: one table, from which the help and the hints on the buttons are made.

import { toMerge } from "./cell.js";
import { field } from "./field.js";
import { move } from "./list.js";
import { movie } from "./movie.js";
import { choose, decide, emit, mark, nextUncertain, present, say, setFrame, state, trouble, turn } from "./store.js";
import { tools } from "./tools.js";
import { link } from "./tracks.js";

const find = (id) => document.getElementById(id);
const history = [];

async function verdict(name) {
  const cell = state.chosen;
  if (cell === null || !present(cell)) return;
  const marked = [...state.marked], cells = marked.length ? toMerge() : [cell];
  const done = decide({ do: name, cells });
  unmark(); // marks are of this decision: the next one may come before the answer
  if (find("advance").checked && name !== "reset" && !marked.length) uncertain();
  if (await done) return say(`Cell ${cells.join(", ")}: ${{ accept: "accepted", reject: "rejected", reset: "left to the tests" }[name]}`);
  for (const one of marked) if (!state.marked.has(one)) mark(one);
}

function unmark() {
  state.marked.clear();
  emit("marked");
}

function uncertain() {
  const next = nextUncertain();
  if (next === null) return say("Nothing is left that nobody has decided.");
  if (state.chosen !== null) history.push(state.chosen);
  choose(next);
}

function back() {
  const cell = history.pop();
  if (cell !== undefined) choose(cell);
}

async function merge() {
  const cells = toMerge();
  if (cells.length < 2) return trouble("Mark the cells to be merged first: keys 1 to 6 mark neighbours, Shift-click any cell.");
  if (await decide({ do: "merge", cells })) say(`Cells ${cells.join(", ")} are one now, cell ${state.chosen}`);
}

async function split() {
  if (state.chosen !== null && (await decide({ do: "split", cell: state.chosen, line: [] }))) say("The cell is two now");
}

async function history_(which) {
  if (await turn(which)) say(which === "undo" ? "Undone" : "Done again");
}

function brightest() {
  const first = find("moments").querySelector("button");
  if (first) first.click();
}

function event(by) {
  const beyond = state.events.filter((frame) => by * (frame - state.frame) > 0);
  if (beyond.length) setFrame(by > 0 ? Math.min(...beyond) : Math.max(...beyond));
  else say(by > 0 ? "No event after this frame." : "No event before this frame.");
}

function cycle(id, by = 1) {
  const select = find(id);
  select.selectedIndex = (select.selectedIndex + by + select.options.length) % select.options.length;
  select.dispatchEvent(new Event("change"));
  say(`${id}: ${select.selectedOptions[0].textContent}`);
}

// name: [keys, what it does, in words]; keys as event.key, with "Mod+" for Ctrl or Cmd
export const KEYS = {
  accept: [["a"], () => verdict("accept"), "accept"],
  reject: [["r"], () => verdict("reject"), "reject"],
  reset: [["t"], () => verdict("reset"), "leave to the tests"],
  uncertain: [["n"], () => uncertain(), "next uncertain one"],
  back: [["b"], back, "back to the cell before"],
  down: [["j"], () => move(1), "next in the list"],
  up: [["k"], () => move(-1), "previous in the list"],
  neighbour: [["1", "2", "3", "4", "5", "6"], (key) => state.neighbours[Number(key) - 1] !== undefined && mark(state.neighbours[Number(key) - 1]), "mark a neighbour"],
  markChosen: [["v"], () => state.chosen !== null && mark(state.chosen), "mark the chosen cell"],
  merge: [["m"], merge, "merge what is marked"],
  split: [["s"], split, "split by activity"],
  cut: [["c"], () => tools.begin("cut"), "cut by a line"],
  draw: [["d"], () => tools.begin("draw"), "draw a missed cell"],
  note: [["e"], () => find("note").focus(), "write a note"],
  label: [["l"], () => find("label").focus(), "add a label"],
  confirmLink: [["i"], () => link("confirm"), "it is the same cell on other days"],
  setApart: [["u"], () => link("apart"), "it is another cell than on other days"],
  joinNearest: [["w"], () => link("join"), "it is the cell of the nearest track"],
  undo: [["z", "Mod+z"], () => history_("undo"), "undo"],
  redo: [["y", "Mod+y", "Mod+Z"], () => history_("redo"), "do again"],
  play: [[" "], () => state.modes.length && movie.toggle(), "play, pause"],
  earlier: [[","], () => movie.step(-1), "frame before"],
  later: [["."], () => movie.step(1), "frame after"],
  slower: [["["], () => find("speed").selectedIndex > 0 && cycle("speed", -1), "slower"],
  faster: [["]"], () => find("speed").selectedIndex < find("speed").options.length - 1 && cycle("speed", 1), "faster"],
  brightest: [["g"], brightest, "go to its brightest moment"],
  eventBefore: [["<"], () => event(-1), "event before"],
  eventAfter: [[">"], () => event(1), "event after"],
  traces: [["x"], () => find("with-neighbours").click(), "traces of the neighbours"],
  picture: [["p"], () => cycle("picture"), "next picture"],
  colour: [["o"], () => cycle("colour"), "next colouring of outlines"],
  in: [["+", "="], () => field.zoom(1.4), "zoom in"],
  out: [["-", "−"], () => field.zoom(1 / 1.4), "zoom out"],
  fit: [["0"], () => field.fit(), "show all of the field"],
  filter: [["f"], () => find("condition").focus(), "filter the list"],
  help: [["?"], () => find("keys").showModal(), "these keys"],
};

const shown = (key) => ({ " ": "Space" })[key] || key.replace("Mod+", /Mac/.test(navigator.platform) ? "⌘" : "Ctrl ");

function pressed(event) {
  if (event.defaultPrevented || find("keys").open) return;
  const { target } = event, writing = target.matches("textarea, input:not([type=range]):not([type=checkbox])");
  if (tools.key(event)) return event.preventDefault();
  if (writing) return;
  const mod = event.ctrlKey || event.metaKey;
  if (event.altKey || (event.key === " " && target.matches("button, select, input, a"))) return;
  if (target.matches("select") && event.key.length === 1 && !mod) return; // it looks for an entry by its letters
  const name = mod ? `Mod+${event.key}` : event.key;
  if (event.key === "Escape" && state.marked.size) return unmark();
  for (const [keys, act] of Object.values(KEYS)) {
    if (!keys.includes(name)) continue;
    event.preventDefault();
    act(event.key);
    return;
  }
}

export function start() {
  document.addEventListener("keydown", pressed);
  for (const node of document.querySelectorAll("[data-key]")) {
    const [keys] = KEYS[node.dataset.key];
    node.setAttribute("aria-keyshortcuts", keys.map((key) => key.replace("Mod+", "Control+").replace(/^ $/, "Space")).join(" "));
    if (!node.matches("button") || node.hasAttribute("aria-label")) continue;
    const hint = document.createElement("kbd");
    hint.textContent = shown(keys[0]);
    hint.setAttribute("aria-hidden", "true");
    node.append(hint);
  }
  for (const name of ["accept", "reject", "reset", "uncertain", "merge", "split", "undo", "redo", "help"]) find(name).addEventListener("click", () => KEYS[name][1]());
  find("keys-list").replaceChildren(...Object.values(KEYS).map(([keys, , words]) => {
    const row = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = words;
    for (const key of keys.length > 3 ? [keys[0], "…", keys[keys.length - 1]] : keys) {
      const hint = document.createElement("kbd");
      hint.textContent = shown(key);
      value.append(hint);
    }
    row.append(term, value);
    return row;
  }));
  find("keys-close").addEventListener("click", () => find("keys").close());
}
