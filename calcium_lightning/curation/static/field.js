// The field of view: a picture, outlines on top, zoom and pan, brightness and contrast by dragging.
// Two panes share one view. Knows what to draw where; what a click means, the tool in use says (tools.js).

import { getPacked } from "./api.js";
import { FIELD, NEIGHBOURS, Picture, View, pathOf, pointers, scale, stroke } from "./drawing.js";
import { movie } from "./movie.js";
import { byHand, choose, count, emit, mark, on, present, score, state, statusOf } from "./store.js";
import { tools } from "./tools.js";
import { trackColour } from "./tracks.js";

const find = (id) => document.getElementById(id);
const panes = [{ canvas: find("field"), picture: null }, { canvas: find("second"), picture: null }];
const view = new View();
const layers = new Map(), windows = new Map();
let paths = [], drawn = [], waiting = false, stale = true, staleOutlines = true, activity = null;
const overlay = new OffscreenCanvas(1, 1), everybody = new OffscreenCanvas(1, 1);

export const field = { view, fit, zoom };

const size = () => ({ height: panes[0].canvas.clientHeight, width: panes[0].canvas.clientWidth });

function fit() {
  const { height, width } = size(), { facts } = state;
  view.fit(facts.height, facts.width, height, width);
  redraw();
}

function zoom(factor) {
  const { height, width } = size();
  view.zoom(factor, height / 2, width / 2);
  redraw();
}

function centre(cell) {
  const [y, x] = state.rows.centers[cell];
  if (y === null) return;
  const { height, width } = size(), [top, left] = view.toBox(y, x), edge = 30;
  if (top > edge && top < height - edge && left > edge && left < width - edge) return;
  view.pan(height / 2 - top, width / 2 - left);
  redraw();
}

// Outlines of all cells are drawn when they or the view have changed; what is chosen or marked, over a copy of them,
// when that has; neither with each frame of the movie.
function redraw({ picture = false, choice = false } = {}) {
  if (!picture || state.colour === "activity") stale = true;
  if (!choice && (!picture || state.colour === "activity")) staleOutlines = true;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!state.facts) return;
    if (stale) drawOverlay();
    stale = staleOutlines = false;
    for (const pane of panes) if (!pane.canvas.hidden) view.show(pane.canvas, pane.picture, state.facts.height, state.facts.width, overlay);
  });
}

function drawOverlay() {
  const { canvas } = panes[0], ratio = devicePixelRatio || 1;
  const size_ = { height: Math.max(1, Math.round(canvas.clientHeight * ratio)), width: Math.max(1, Math.round(canvas.clientWidth * ratio)) };
  if (staleOutlines || everybody.height !== size_.height || everybody.width !== size_.width) {
    Object.assign(everybody, size_);
    const pen = everybody.getContext("2d"), unit = view.transform(pen, ratio);
    if (state.colour !== "none") outlines(pen, unit);
  }
  Object.assign(overlay, size_);
  const pen = overlay.getContext("2d");
  if (state.colour !== "none") pen.drawImage(everybody, 0, 0);
  const unit = view.transform(pen, ratio);
  if (state.colour !== "none") choice(pen, unit);
  tools.draw(pen, unit);
}

function outlines(pen, unit) {
  for (const cell of drawn) {
    const status = statusOf(cell);
    if ((status === "replaced" && state.filter !== "replaced") || !inView(cell)) continue;
    stroke(pen, path(cell), colourOf(cell, status), byHand(cell) ? 2.4 : 1.3, unit, status !== "accepted");
  }
}

function choice(pen, unit) {
  state.neighbours.forEach((cell, i) => {
    if (cell < count() && present(cell)) stroke(pen, path(cell), NEIGHBOURS[i], 2.4, unit, statusOf(cell) !== "accepted");
  });
  for (const cell of state.marked) {
    stroke(pen, path(cell), FIELD.edge, 4.5, unit);
    stroke(pen, path(cell), FIELD.marked, 3, unit, true);
  }
  if (state.chosen !== null && state.chosen < count()) {
    stroke(pen, path(state.chosen), FIELD.edge, 5, unit);
    stroke(pen, path(state.chosen), FIELD.chosen, 2.6, unit, statusOf(state.chosen) === "rejected");
  }
}

function path(cell) {
  return (paths[cell] ||= pathOf(state.rows.outlines[cell]));
}

function inView(cell) {
  const [y, x] = state.rows.centers[cell], { height, width } = size(), room = 2 * state.facts.diameter * view.scale;
  const [top, left] = view.toBox(y, x);
  return top > -room && left > -room && top < height + room && left < width + room;
}

function colourOf(cell, status) {
  if (state.colour === "score") return scale(score(cell) ?? 0);
  if (state.colour === "track") return trackColour(cell);
  if (state.colour === "activity") return scale(activityOf(cell));
  return FIELD[status];
}

function activityOf(cell) {
  if (!activity || state.frame < activity.start || state.frame >= activity.stop || cell >= activity.cells) return 0;
  return activity.values[(state.frame - activity.start) * activity.cells + cell] / 255;
}

async function wantActivity() {
  if (state.colour !== "activity" || (activity && state.frame >= activity.start && state.frame < activity.stop - 8)) return;
  const start = state.frame;
  if (activity?.asked === start) return;
  activity = { ...(activity || { start: 0, stop: 0, cells: 0 }), asked: start };
  const { about, buffer, offset } = await getPacked(`activity?start=${start}&count=256`);
  if (activity.asked !== start) return; // the movie has gone elsewhere
  activity = { ...about, values: new Uint8Array(buffer, offset) };
  redraw();
}

// The cell under a place: the smallest outline that holds it.
function cellAt(y, x) {
  const pen = panes[0].canvas.getContext("2d");
  pen.save();
  pen.setTransform(1, 0, 0, 1, 0, 0);
  let best = null, nearest = Infinity;
  for (const cell of drawn) {
    const [cy, cx] = state.rows.centers[cell];
    if (cy === null || (!present(cell) && state.filter !== "replaced")) continue;
    const distance = Math.hypot(cy - y, cx - x);
    if (distance > 3 * state.facts.diameter) continue;
    const inside = pen.isPointInPath(path(cell), x, y);
    if ((inside || distance < 6 / view.scale) && distance < nearest) [best, nearest] = [cell, distance];
  }
  pen.restore();
  return best;
}

// The nearest cell in a direction, by keys.
function step(dy, dx) {
  if (state.chosen === null) return choose(drawn[0] ?? null);
  const [y, x] = state.rows.centers[state.chosen];
  let best = null, least = Infinity;
  for (const cell of drawn) {
    const [cy, cx] = state.rows.centers[cell];
    if (cell === state.chosen || cy === null || !present(cell)) continue;
    const along = (cy - y) * dy + (cx - x) * dx, aside = Math.abs((cy - y) * dx) + Math.abs((cx - x) * dy);
    if (along > 0 && along + 2 * aside < least) [best, least] = [cell, along + 2 * aside];
  }
  if (best !== null) choose(best);
}

// Pictures

async function layer(index) {
  if (!layers.has(index)) {
    const { about, buffer, offset } = await getPacked(`layer/${index}`);
    layers.set(index, new Picture(new Uint16Array(buffer, offset), about));
  }
  return layers.get(index);
}

async function show(pane, name) {
  const { value } = find(name);
  pane.canvas.hidden = value === "";
  let picture = null;
  if (value.startsWith("movie:")) picture = movie.picture(value.slice(6));
  else if (value !== "") picture = await layer(Number(value));
  if (find(name).value !== value) return; // another one was asked for meanwhile
  pane.picture = picture;
  if (pane === panes[0]) windowToSliders();
  paint();
  requestAnimationFrame(() => (view.fitted ? fit() : redraw())); // two panes are narrower than one
}

function windowKey(pane) {
  return pane === panes[0] ? find("picture").value : find("beside").value;
}

function windowOf(pane) {
  return windows.get(windowKey(pane)) || pane.picture.shown;
}

function paint() {
  for (const pane of panes) if (pane.picture?.values) pane.picture.paint(...windowOf(pane));
  redraw({ picture: true });
}

function windowToSliders() {
  const { picture } = panes[0];
  if (!picture) return;
  const [black, white] = windowOf(panes[0]), span = picture.high - picture.low || 1;
  find("black").value = Math.round(((black - picture.low) / span) * 1000);
  find("white").value = Math.round(((white - picture.low) / span) * 1000);
}

function setWindow(pane, black, white) {
  const { picture } = pane, least = (picture.high - picture.low) / 500;
  windows.set(windowKey(pane), [black, Math.max(white, black + least)]);
  windowToSliders();
  paint();
}

function fromSliders() {
  const { picture } = panes[0];
  if (!picture) return;
  const span = picture.high - picture.low, at = (id) => picture.low + (Number(find(id).value) / 1000) * span;
  setWindow(panes[0], at("black"), at("white"));
}

function options(select, empty) {
  const kept = select.value, names = [...state.layers, ...state.modes].join("\n");
  if (select.dataset.names === names) return; // it may be open
  select.dataset.names = names;
  select.replaceChildren();
  if (empty) select.append(new Option("nothing", ""));
  state.layers.forEach((name, i) => select.append(new Option(name, String(i))));
  const words = { raw: "movie, raw", corrected: "movie, motion-corrected", foreground: "movie, foreground", reconstruction: "movie, reconstruction", residual: "movie, residual" };
  for (const mode of state.modes) select.append(new Option(words[mode], `movie:${mode}`));
  if ([...select.options].some((option) => option.value === kept)) select.value = kept;
}

// What is shown of the movie, to be fetched.
const shownModes = () => panes.map((_, i) => find(i ? "beside" : "picture").value).filter((value) => value.startsWith("movie:")).map((value) => value.slice(6));

// Pointers

function listen(pane) {
  pointers(pane.canvas, view, {
    moved: redraw,
    hover: (place) => tell(pane, place),
    light: () => {
      if (!pane.picture?.values) return null;
      const [black, white] = windowOf(pane);
      return { black, white, span: pane.picture.high - pane.picture.low };
    },
    setLight: (black, white) => setWindow(pane, black, white),
    down: tools.down,
    move: tools.move,
    up: tools.up,
    click: (place, event) => {
      const cell = cellAt(...place);
      if (cell !== null && (event.shiftKey || event.ctrlKey || event.metaKey)) mark(cell);
      else if (cell !== null) choose(cell);
    },
  });
}

function tell(pane, [y, x]) {
  const { picture } = pane;
  if (!picture?.values) return;
  const value = picture.at(((y + 0.5) * picture.height) / state.facts.height, ((x + 0.5) * picture.width) / state.facts.width);
  find("pointer").textContent = value === null ? "" : `y ${y.toFixed(1)}, x ${x.toFixed(1)}: ${Number(value.toPrecision(4))} ${picture.unit}`;
}

export function start() {
  panes.forEach(listen);
  const keys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  panes[0].canvas.addEventListener("keydown", (event) => {
    if (tools.busy() || !(event.key in keys) || event.altKey) return;
    event.preventDefault();
    step(...keys[event.key]);
  });
  find("picture").addEventListener("change", () => { show(panes[0], "picture"); emit("pictures"); });
  find("beside").addEventListener("change", () => { show(panes[1], "beside"); emit("pictures"); });
  find("colour").addEventListener("change", (event) => { state.colour = event.target.value; emit("colour"); });
  for (const id of ["black", "white"]) find(id).addEventListener("input", fromSliders);
  find("window-reset").addEventListener("click", () => { windows.delete(windowKey(panes[0])); windowToSliders(); paint(); });
  find("zoom-in").addEventListener("click", () => zoom(1.4));
  find("zoom-out").addEventListener("click", () => zoom(1 / 1.4));
  find("zoom-fit").addEventListener("click", fit);
  new ResizeObserver(() => state.facts && (view.fitted ? fit() : redraw())).observe(find("panes"));
  on("loaded", () => { options(find("picture"), false); options(find("beside"), true); show(panes[0], "picture"); fit(); });
  on("news", () => { options(find("picture"), false); options(find("beside"), true); });
  on("standing", () => {
    paths.length = Math.min(paths.length, state.found);
    options(find("picture"), false);
    options(find("beside"), true);
    describe();
    redraw();
  });
  on("order", () => { drawn = state.filter === "replaced" ? state.order : [...state.order].sort((a, b) => (score(b) ?? 0) - (score(a) ?? 0)); redraw(); });
  on("chosen", () => { centre(state.chosen); redraw({ choice: true }); });
  on("colour", () => { wantActivity(); redraw(); });
  on("frame", () => { wantActivity(); redraw({ picture: true }); });
  for (const event of ["marked", "details", "tool"]) on(event, () => redraw({ choice: true }));
  on("pictures", () => movie.want(shownModes()));
  on("need-movie", () => {
    find("picture").value = `movie:${state.modes.includes("corrected") ? "corrected" : state.modes[0]}`;
    find("picture").dispatchEvent(new Event("change"));
  });
  on("frames", ({ fresh }) => {
    if (fresh) {
      panes.forEach((pane, i) => {
        const value = find(i ? "beside" : "picture").value;
        if (value.startsWith("movie:")) pane.picture = movie.picture(value.slice(6));
      });
      windowToSliders();
    }
    paint();
  });
}

function describe() {
  const numbers = { accepted: 0, rejected: 0, replaced: 0 };
  for (let cell = 0; cell < count(); cell++) numbers[statusOf(cell)]++;
  find("field").setAttribute("aria-label", `Field of view, ${state.facts.height} by ${state.facts.width} pixels: ${numbers.accepted} accepted cells, outlined solid, ${numbers.rejected} rejected ones, dashed`);
}
