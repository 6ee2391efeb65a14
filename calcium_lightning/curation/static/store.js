// What the page knows, who wants to hear when it changes, and the one way to decide.
// Knows cells and decisions, nothing of how they are shown.

import { Refused, getJson, postJson } from "./api.js";

export const state = {
  facts: null, file: "", meanings: {}, layers: [], modes: [], rows: null, standing: null, revision: 0, found: 0,
  chosen: null, marked: new Set(), neighbours: [], events: [], frame: 0, writable: true, undo: null, redo: null,
  recording: null, regressing: 0, busy: null, remade: 0, folded: true, unwritten: "", colour: "verdict", filter: "present", condition: [],
  sort: "score", falling: true, order: [], tracks: null, failures: [],
};
const listeners = new Map();

// "loaded", "standing", "rows" (cells were made, or made anew), "chosen", "marked", "details", "frame", "order", "news", "colour", "said", "trouble"
export function on(event, heard) {
  listeners.set(event, [...(listeners.get(event) || []), heard]);
}

export function emit(event, value) {
  for (const heard of listeners.get(event) || []) heard(value);
}

export const say = (words) => emit("said", words);
export const trouble = (words) => emit("trouble", words && `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`);
// What is in the way of nothing any more isn't told any longer; that decisions can't be written is, until they are.
export const settled = () => trouble(state.unwritten && `Not written into the cells file: ${state.unwritten}`);
export const count = () => state.standing.accepted.length;
export const present = (cell) => state.standing.replacedBy[cell] < 0;
export const accepted = (cell) => state.standing.accepted[cell] === 1;
export const byHand = (cell) => state.standing.verdict[cell] !== 0 || state.standing.origin[cell] !== "found";
export const score = (cell) => state.rows.quality.score?.[cell] ?? null;

export function statusOf(cell) {
  if (!present(cell)) return "replaced";
  return accepted(cell) ? "accepted" : "rejected";
}

function take(answer) {
  const kept = state.found;
  for (const name of ["revision", "who", "writable", "undo", "redo", "standing", "modes", "recording", "regressing", "busy", "folded", "unwritten", "layers", "tracks"]) {
    if (name in answer) state[name] = answer[name];
  }
  const { rows } = state, fresh = answer.made.cells.length !== rows.centers.length - kept || answer.remade !== state.remade;
  state.remade = answer.remade;
  rows.centers.length = rows.outlines.length = kept;
  for (const name of Object.keys(rows.quality)) rows.quality[name].length = kept;
  rows.centers.push(...answer.made.centers);
  rows.outlines.push(...answer.made.outlines);
  for (const name of Object.keys(rows.quality)) rows.quality[name].push(...answer.made.quality[name]);
  for (const cell of [...state.marked]) if (cell >= count() || !present(cell)) state.marked.delete(cell);
  if (state.chosen !== null && state.chosen >= count()) state.chosen = null;
  if (fresh) emit("rows");
}

// How things stand is told to all; where the chosen cell is gone with what made it, what it was made of is chosen.
function tell() {
  emit("standing");
  if (state.chosen === null && count()) choose(state.redo?.cells?.[0] ?? state.redo?.cell ?? nextUncertain() ?? 0);
}

// Asks the server about the chosen cell: the last question only. Null once another one is chosen or asked about, or the
// cell is gone (what made it was undone, here or on another page).
export function aboutChosen(get) {
  let waiting = null;
  return async (path) => {
    const cell = state.chosen;
    waiting?.abort();
    waiting = new AbortController();
    const { signal } = waiting;
    try {
      const answer = await get(path, signal);
      return state.chosen === cell && !signal.aborted ? answer : null;
    } catch (error) {
      if (error.name === "AbortError" || error.status === 404 || state.chosen !== cell) return null;
      throw error;
    }
  };
}

export async function load() {
  const answer = await getJson("start");
  Object.assign(state, { facts: answer.facts, file: answer.file, meanings: answer.meanings, rows: answer.rows });
  state.found = answer.rows.centers.length;
  take(answer);
  emit("loaded");
  emit("standing");
}

export async function refresh() {
  take(await getJson("standing"));
  tell();
}

// Actions are sent one after the other, each on the revision that the one before has left. Until it is answered, an
// action changes nothing here but what is asked next: an answer to the one before doesn't know it, and it may be refused.
let queue = Promise.resolve();
const unanswered = new Set(), DECIDING = ["accept", "reject", "merge", "split"];

function inTurn(does, actions = []) {
  unanswered.add(actions);
  queue = queue.catch(() => {}).then(does).finally(() => unanswered.delete(actions));
  return queue;
}

export const isAnswered = () => unanswered.size === 0;
export const answered = () => queue.catch(() => {});
export const decide = (...actions) => inTurn(() => send(actions), actions);

const beingDecided = () => new Set([...unanswered].flat().filter((action) => DECIDING.includes(action.do)).flatMap((action) => action.cells ?? [action.cell]));

async function send(actions) {
  const before = count();
  try {
    take(await postJson("decide", { actions, revision: state.revision, who: state.who }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 409) take(error.body);
    tell();
    trouble(error.message);
    return false;
  }
  settled();
  const made = count() > before ? count() - 1 : null;
  if (actions.some((action) => ["merge", "split", "draw"].includes(action.do)) && made !== null) {
    state.marked.clear();
    choose(before, { quiet: true });
  }
  tell();
  return true;
}

// What a cell is on other days; the tracks file has a log of its own.
export const decideLink = (action) => inTurn(() => sendLink(action));

async function sendLink(action) {
  try {
    take(await postJson("link", { ...action, who: state.who }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    await refresh();
    trouble(error.message);
    return false;
  }
  settled();
  tell();
  return true;
}

// To a person there is one history: the server says which log undo and redo turn next, once all before it is done.
export function turn(which) {
  return inTurn(() => {
    const next = state[which];
    if (next?.of === "tracks") return sendLink({ do: which, known: state.tracks.log });
    if (next) return send([{ do: which }]);
    trouble(`nothing to ${which}`);
    return false;
  });
}

export function choose(cell, { quiet = false } = {}) {
  if (cell === null || cell < 0 || cell >= count()) return;
  state.chosen = cell;
  emit("chosen", { quiet });
}

export function mark(cell) {
  if (!present(cell)) return;
  if (state.marked.has(cell)) state.marked.delete(cell);
  else state.marked.add(cell);
  emit("marked");
}

// The cell that the tests are least certain of, of those that nobody has decided.
export function nextUncertain(after = state.chosen) {
  const threshold = state.facts.thresholds.score;
  const doubt = (cell) => Math.abs((score(cell) ?? 0.5) - threshold), underway = beingDecided();
  let best = null;
  for (let cell = 0; cell < count(); cell++) {
    if (!present(cell) || byHand(cell) || underway.has(cell) || cell === after) continue;
    if (best === null || doubt(cell) < doubt(best)) best = cell;
  }
  return best;
}

export function setFrame(frame, { playing = false } = {}) {
  const last = state.facts.frames - 1;
  state.frame = Math.max(0, Math.min(last, Math.round(frame)));
  emit("frame", { playing });
}

export const timeOf = (frame) => {
  const { start, end, frames } = state.facts;
  return frames > 1 ? start + ((end - start) * frame) / (frames - 1) : start;
};
export const frameAt = (time) => {
  const { start, end, frames } = state.facts;
  return end > start ? Math.round(((time - start) / (end - start)) * (frames - 1)) : 0;
};
