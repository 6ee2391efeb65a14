// Puts the page together: starts its parts, keeps the header, and hears what the server has to tell.

import { Refused, postJson } from "./api.js";
import * as cell from "./cell.js";
import * as field from "./field.js";
import * as keys from "./keys.js";
import * as list from "./list.js";
import * as movie from "./movie.js";
import * as plots from "./plots.js";
import { answered, byHand, choose, count, emit, isAnswered, load, nextUncertain, on, present, refresh, settled, state, statusOf, trouble } from "./store.js";
import * as tools from "./tools.js";
import * as tracks from "./tracks.js";

let source = null, silent = false;
const find = (id) => document.getElementById(id);

function header() {
  const numbers = { accepted: 0, rejected: 0, replaced: 0, hand: 0 };
  for (let one = 0; one < count(); one++) {
    numbers[statusOf(one)]++;
    if (present(one) && byHand(one)) numbers.hand++;
  }
  const parts = [[numbers.accepted, "accepted"], [numbers.rejected, "rejected"], [numbers.hand, "by hand"]];
  find("counts").replaceChildren(...parts.flatMap(([number, words], i) => {
    const strong = document.createElement("b");
    strong.textContent = number;
    return [i ? " · " : "", strong, ` ${words}`];
  }));
  find("undo").disabled = !state.undo;
  find("redo").disabled = !state.redo;
  find("undo").title = state.undo ? `Takes back: ${inWords(state.undo)}` : "";
  find("redo").title = state.redo ? `Does again: ${inWords(state.redo)}` : "";
}

const WORDS = { confirm: "link of cell", apart: "setting apart cell", join: "joining cell" };

function inWords(action) {
  const which = (action.cells || (action.cell === undefined ? [] : [action.cell])).join(", ");
  const day = action.of === "tracks" ? `on ${state.tracks.sessions[action.session]}` : "";
  return `${WORDS[action.do] || action.do} ${which} ${action.label || ""}${day}`.trim();
}

function news() {
  const { recording } = state;
  const kept = state.folded ? ["in the file", "Every decision is in the cells file"]
    : ["on disk", state.unwritten || "Every decision is on disk beside the cells file, and is written into it in a moment"];
  const [words, title] = silent ? ["no server", "Nothing that is decided now is kept"] : state.writable ? kept : ["read only", "Nothing can be decided"];
  Object.assign(find("saved"), { className: `state ${silent || state.unwritten ? "busy" : ""}`, textContent: words, title });
  find("work").className = `state ${state.regressing || recording?.state === "preparing" ? "busy" : ""}`;
  find("work").textContent = !recording ? "" : recording.state === "preparing" ? `${recording.words}, ${Math.round(100 * recording.share)}%`
    : recording.state === "failed" ? `recording: ${recording.words}` : state.regressing ? `regressing ${state.regressing}` : "recording ready";
}

// A stream of news; whoever holds another revision asks how things stand.
function listen() {
  source = new EventSource("api/events");
  source.addEventListener("message", async (event) => {
    const told = JSON.parse(event.data), modes = state.modes.length, ended = state.busy !== null && told.busy !== state.busy;
    const other = told.revision > state.revision || told.links !== (state.tracks?.log ?? 0);
    const failed = told.failures.filter((number) => !state.failures.includes(number));
    const unwritten = told.unwritten !== state.unwritten;
    Object.assign(state, { failures: told.failures, folded: told.folded, unwritten: told.unwritten, recording: told.recording, regressing: told.regressing, busy: told.busy, modes: told.modes });
    if (unwritten) settled();
    if (failed.length) trouble("A cell that was made by hand can't be regressed on the recording: choose it to see why, or undo.");
    news();
    emit("news");
    if (other || ended || told.modes.length !== modes) await refresh();
  });
  source.addEventListener("open", () => {
    silent = false;
    news();
  });
  source.addEventListener("error", () => {
    silent = true; // the browser tries again
    news();
    if (source.readyState === EventSource.CLOSED) trouble("The server has ended. What was decided is kept; start it again, and open the address that it prints.");
  });
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  find("theme").textContent = name === "dark" ? "Light" : "Dark";
  plots.redraw();
  emit("colour");
}

async function begin() {
  for (const part of [field, list, cell, movie, plots, tools, tracks, keys]) part.start();
  const wish = new URLSearchParams(location.search).get("theme");
  const dark = wish ? wish === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "dark" : "light");
  find("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  find("who").addEventListener("change", (event) => { state.who = event.target.value; });
  find("end").addEventListener("click", async () => {
    find("end").disabled = true;
    find("saved").textContent = "being written";
    await answered();
    const { unwritten } = await postJson("end", {}).finally(() => { find("end").disabled = false; });
    source?.close();
    if (unwritten) find("ended-words").textContent = `Ended, but what was decided is not in the cells file: ${unwritten}. Once that is put right, start curate again, and it is written.`;
    find("ended").showModal();
  });
  addEventListener("beforeunload", (event) => !isAnswered() && event.preventDefault());
  on("said", (words) => { find("said").textContent = words; });
  on("trouble", (words) => { find("alert").textContent = words; find("alert").hidden = !words; });
  on("standing", () => { header(); news(); document.documentElement.dataset.revision = state.revision; });
  on("chosen", () => { document.documentElement.dataset.chosen = state.chosen; });
  addEventListener("unhandledrejection", (event) => {
    if (!(event.reason instanceof Refused)) return;
    event.preventDefault();
    trouble(event.reason.message);
  });
  await load();
  settled();
  document.title = `${state.file}: curate`;
  find("file").textContent = state.file;
  find("file").title = state.file;
  find("who").value = state.who;
  const first = nextUncertain(null);
  if (first !== null) choose(first);
  else if (count()) choose(0);
  listen();
  document.documentElement.dataset.ready = "true";
}

begin().catch((error) => trouble(`The page can't be shown: ${error.message}`));
