// What a cell is on other days, and what a person says of that. Knows tracks; absent without a tracks file.

import { getJson } from "./api.js";
import { FIELD, scale } from "./drawing.js";
import { aboutChosen, decideLink, emit, on, say, state } from "./store.js";

const find = (id) => document.getElementById(id);
const DOUBTFUL = 0.9;
const ask = aboutChosen(getJson);
let shown = null;

const surely = (probability) => `${Math.round(100 * probability)}%`;
const nameOf = (session) => (session === state.tracks.session ? "this day" : state.tracks.sessions[session]);
const inWords = (member) => `${nameOf(member.session)}: cell ${member.cell}${member.byHand ? ", by hand" : `, ${surely(member.probability)}`}`;

// On how many days, of all; doubtful ones stand out.
export function trackColour(cell) {
  const { tracks } = state, days = tracks?.days[cell] ?? 0;
  if (days < 2) return FIELD.replaced;
  if (!tracks.byHand[cell] && tracks.probability[cell] < DOUBTFUL) return FIELD.marked;
  return scale((days - 1) / Math.max(1, tracks.aligned.filter(Boolean).length - 1));
}

async function load() {
  if (!state.tracks || state.chosen === null) return;
  const cell = state.chosen;
  const answer = await ask(`tracks/${cell}`);
  if (!answer) return;
  shown = answer;
  show();
  find("across").dataset.cell = String(cell);
}

function show() {
  const { track, members, others } = shown, several = members.length > 1;
  find("track-words").textContent = track === null ? "Not looked at when these days were tracked."
    : several ? `Track ${track}, on ${members.length} of ${state.tracks.sessions.length} days.` : `Track ${track}: on this day only.`;
  find("members").replaceChildren(...members.filter((member) => member.session !== state.tracks.session || several).map((member) => {
    const entry = document.createElement("li");
    entry.textContent = inWords(member);
    return entry;
  }));
  find("confirm-link").disabled = track === null || !several;
  find("set-apart").disabled = track === null || !several;
  find("others").replaceChildren(...others.map((other, i) => {
    const entry = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = `Join track ${other.track}, ${other.distance} px away (${other.members.map(inWords).join("; ")})`;
    if (i === 0) button.id = "join-nearest";
    button.addEventListener("click", () => link("join", other.track));
    entry.append(button);
    return entry;
  }));
}

export async function link(does, track = null) {
  if (!state.tracks || !shown || shown.track === null || shown.cell !== state.chosen) return; // not what was shown before
  if (does !== "join" && shown.members.length < 2) return;
  if (does === "join" && track === null) {
    if (!shown.others.length) return say("No track lies near that lacks this day.");
    [{ track }] = shown.others;
  }
  const done = await decideLink({ do: does, cell: shown.cell, track, known: shown.track });
  if (done) say({ confirm: "The link is confirmed", apart: "The cell is set apart from its track", join: "The cell is joined" }[does]);
}

export function start() {
  find("confirm-link").addEventListener("click", () => link("confirm"));
  find("set-apart").addEventListener("click", () => link("apart"));
  on("loaded", () => {
    find("across").hidden = !state.tracks;
    if (!state.tracks) find("colour").querySelector("[value=track]").remove();
  });
  on("chosen", load);
  on("standing", () => {
    const log = String(state.tracks?.log ?? 0);
    if (document.documentElement.dataset.links === log) return;
    document.documentElement.dataset.links = log;
    emit("colour");
    load();
  });
}
