// The movie: fetched in ranges of frames, a little ahead, and played at the recording's own rate times the speed.
// Knows frames and time, nothing of how they are drawn.

import { getPacked } from "./api.js";
import { Picture } from "./drawing.js";
import { emit, on, setFrame, state, timeOf, trouble } from "./store.js";

const CHUNK_BYTES = 8 << 20, KEPT = 6, MOST_SHOWN = 30;
const find = (id) => document.getElementById(id);
const pictures = new Map(), chunks = new Map(), asked = new Map();
let playing = null; // { from, since, shown, begun }
let wanted = [];
let standing = 0; // how often cells have changed
const ofCells = (key) => /^(reconstruction|residual) /.test(key);

export const movie = { picture, toggle, step, want, isPlaying: () => playing !== null, rate: 0 };

// How many frames are skipped, so that no more are shown than a screen and an eye can take.
const stride = () => Math.max(1, Math.round((state.facts.fps * Number(find("speed").value)) / MOST_SHOWN));
const perChunk = () => Math.max(4, Math.min(64, Math.floor(CHUNK_BYTES / (state.facts.height * state.facts.width))));

function chunkOf(frame, by) {
  const length = perChunk() * by;
  return Math.floor(frame / length) * length;
}

function fetched(mode, start, by) {
  const key = `${mode} ${start} ${by}`;
  if (chunks.has(key)) {
    const chunk = chunks.get(key);
    chunks.delete(key);
    chunks.set(key, chunk); // the newest last
    return chunk;
  }
  if (!asked.has(key) && asked.size < 6) {
    const before = standing;
    asked.set(key, getPacked(`frames/${mode}?start=${start}&count=${perChunk()}&step=${by}`).then(({ about, buffer, offset }) => {
      if (before !== standing && ofCells(key)) return; // made of cells that are others now
      chunks.set(key, { about, values: new Uint8Array(buffer, offset) });
      const most = KEPT * Math.max(1, wanted.length);
      for (const old of [...chunks.keys()].slice(0, Math.max(0, chunks.size - most))) chunks.delete(old);
    }).catch((error) => trouble(error.message)).finally(() => {
      asked.delete(key);
      if (!playing) show();
    }));
  }
  return null;
}

function valuesOf(mode, frame, by) {
  const start = chunkOf(frame, by), chunk = fetched(mode, start, by);
  if (!chunk) return null;
  const place = Math.min(Math.floor((frame - start) / by), chunk.about.frames.length - 1), size = chunk.about.height * chunk.about.width;
  return { about: chunk.about, values: chunk.values.subarray(place * size, (place + 1) * size) };
}

// A picture of a kind of movie; empty until its first frames have come.
function picture(mode) {
  if (!pictures.has(mode)) pictures.set(mode, { canvas: new OffscreenCanvas(1, 1), width: 1, height: 1, shown: [0, 1], low: 0, high: 1, values: null });
  return pictures.get(mode);
}

function take(mode, { about, values }) {
  const known = pictures.get(mode);
  if (known instanceof Picture) known.take(values);
  else pictures.set(mode, new Picture(values, about));
  return !(known instanceof Picture);
}

function show() {
  const by = playing ? stride() : 1, frame = Math.floor(state.frame / by) * by;
  const found = wanted.map((mode) => [mode, valuesOf(mode, frame, by)]);
  if (found.some(([, values]) => values === null)) return false;
  const fresh = found.map(([mode, values]) => take(mode, values)).some(Boolean);
  emit("frames", { fresh });
  return true;
}

function want(modes) {
  wanted = [...new Set(modes)];
  if (!wanted.length && playing) toggle();
  show();
}

function toggle() {
  if (playing) playing = null;
  else {
    if (!wanted.length) emit("need-movie");
    if (state.frame >= state.facts.frames - 1) setFrame(0);
    playing = { from: state.frame, since: performance.now(), shown: 0, begun: performance.now() };
    requestAnimationFrame(loop);
  }
  find("play").textContent = playing ? "❚❚" : "▶";
  find("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

function loop(now) {
  if (!playing) return;
  const by = stride(), speed = Number(find("speed").value);
  let frame = playing.from + ((now - playing.since) / 1000) * state.facts.fps * speed;
  frame = Math.floor(frame / by) * by;
  const last = state.facts.frames - 1;
  const length = perChunk() * by;
  for (const mode of wanted) for (let ahead = 1; ahead < 3; ahead++) if (frame + ahead * length <= last) fetched(mode, chunkOf(frame, by) + ahead * length, by);
  if (frame > last) {
    toggle();
    setFrame(last);
    return;
  }
  if (frame !== state.frame || !playing.shown) {
    const before = state.frame;
    state.frame = Math.max(0, frame);
    if (show()) {
      playing.shown++;
      setFrame(frame, { playing: true });
      const seconds = (now - playing.begun) / 1000;
      if (seconds > 1) {
        movie.rate = playing.shown / seconds;
        document.documentElement.dataset.rate = movie.rate.toFixed(1);
        Object.assign(playing, { shown: 1, begun: now });
      }
    } else {
      state.frame = before; // they are on their way: time waits
      Object.assign(playing, { from: before, since: now });
    }
  }
  requestAnimationFrame(loop);
}

function step(by) {
  if (playing) toggle();
  setFrame(state.frame + by);
}

function clock() {
  const time = timeOf(state.frame), minutes = Math.floor(time / 60);
  find("clock").textContent = `${minutes}:${(time - 60 * minutes).toFixed(2).padStart(5, "0")} · frame ${state.frame} of ${state.facts.frames}`;
  find("time").value = state.frame;
  find("time").setAttribute("aria-valuetext", `${time.toFixed(2)} seconds, frame ${state.frame}`);
}

export function start() {
  find("play").addEventListener("click", toggle);
  find("time").addEventListener("input", (event) => { if (playing) toggle(); setFrame(Number(event.target.value)); });
  find("speed").addEventListener("change", () => { if (playing) Object.assign(playing, { from: state.frame, since: performance.now() }); });
  on("loaded", () => {
    find("time").max = state.facts.frames - 1;
    find("movie").hidden = !state.modes.length;
    clock();
  });
  on("frame", ({ playing: inLoop }) => { clock(); if (!inLoop) show(); });
  on("standing", () => {
    standing++;
    for (const key of [...chunks.keys()]) if (ofCells(key)) chunks.delete(key);
  });
}
