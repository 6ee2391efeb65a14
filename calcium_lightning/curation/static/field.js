// The field of view: a picture, outlines on top, zoom and pan, brightness and contrast by dragging.
// Two panes share one view. Knows what to draw where; what a click means, the tool in use says (tools.js).

import { getPacked } from "./api.js";
import { FIELD, NEIGHBOURS, scale } from "./colours.js";
import { movie } from "./movie.js";
import { Picture } from "./picture.js";
import { byHand, choose, count, emit, mark, on, present, score, state, statusOf } from "./store.js";
import { tools } from "./tools.js";

const find = (id) => document.getElementById(id);
const panes = [{ canvas: find("field"), picture: null }, { canvas: find("second"), picture: null }];
const view = { scale: 1, y: 0, x: 0, fitted: true };
const layers = new Map(), windows = new Map();
let paths = [], drawn = [], waiting = false, stale = true, activity = null;
const overlay = new OffscreenCanvas(1, 1);

export const field = { view, toPixels, redraw, fit, zoom, centre };

// Pixel (0, 0) has its middle at 0, so the picture begins at -0.5.
function toPixels(pane, event) {
  const box = pane.canvas.getBoundingClientRect();
  return [(event.clientY - box.top - view.y) / view.scale - 0.5, (event.clientX - box.left - view.x) / view.scale - 0.5];
}

const size = () => ({ height: panes[0].canvas.clientHeight, width: panes[0].canvas.clientWidth });

function fit() {
  const { height, width } = size(), { facts } = state;
  view.scale = Math.max(0.05, Math.min(height / facts.height, width / facts.width));
  view.y = (height - view.scale * facts.height) / 2;
  view.x = (width - view.scale * facts.width) / 2;
  view.fitted = true;
  redraw();
}

function zoom(factor, y = size().height / 2, x = size().width / 2) {
  const next = Math.max(0.1, Math.min(60, view.scale * factor)), change = next / view.scale;
  view.y = y - (y - view.y) * change;
  view.x = x - (x - view.x) * change;
  view.scale = next;
  view.fitted = false;
  redraw();
}

function centre(cell) {
  const [y, x] = state.rows.centers[cell];
  if (y === null) return;
  const { height, width } = size(), top = view.y + y * view.scale, left = view.x + x * view.scale, edge = 30;
  if (top > edge && top < height - edge && left > edge && left < width - edge) return;
  view.y = height / 2 - y * view.scale;
  view.x = width / 2 - x * view.scale;
  redraw();
}

function pathOf(cell) {
  const path = new Path2D();
  for (const line of state.rows.outlines[cell]) {
    for (let i = 0; i < line.length; i += 2) path.lineTo(line[i + 1], line[i]);
    path.closePath();
  }
  return path;
}

// Outlines are drawn when they or the view have changed, not with each frame of the movie.
function redraw({ picture = false } = {}) {
  if (!picture || state.colour === "activity") stale = true;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (stale) drawOverlay();
    stale = false;
    for (const pane of panes) if (!pane.canvas.hidden) draw(pane);
  });
}

function drawOverlay() {
  const { canvas } = panes[0], ratio = devicePixelRatio || 1, step = view.scale * ratio;
  Object.assign(overlay, { height: Math.max(1, Math.round(canvas.clientHeight * ratio)), width: Math.max(1, Math.round(canvas.clientWidth * ratio)) });
  const pen = overlay.getContext("2d");
  pen.setTransform(step, 0, 0, step, (view.x + view.scale / 2) * ratio, (view.y + view.scale / 2) * ratio);
  if (state.colour !== "none") outlines(pen, 1 / view.scale);
  tools.draw(pen, 1 / view.scale);
}

function draw(pane) {
  const { canvas } = pane, ratio = devicePixelRatio || 1;
  const height = Math.round(canvas.clientHeight * ratio), width = Math.round(canvas.clientWidth * ratio);
  if (canvas.height !== height || canvas.width !== width) Object.assign(canvas, { height, width });
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  const step = view.scale * ratio;
  if (pane.picture) {
    pen.imageSmoothingEnabled = pane.picture.width < state.facts.width;
    pen.drawImage(pane.picture.canvas, view.x * ratio, view.y * ratio, state.facts.width * step, state.facts.height * step);
  }
  pen.drawImage(overlay, 0, 0);
}

function outlines(pen, unit) {
  const dashes = [4 * unit, 3 * unit];
  for (const cell of drawn) {
    const status = statusOf(cell);
    if (cell === state.chosen || (status === "replaced" && state.filter !== "replaced") || !inView(cell)) continue;
    stroke(pen, cell, colourOf(cell, status), (byHand(cell) ? 2.4 : 1.3) * unit, status === "accepted" ? [] : dashes);
  }
  state.neighbours.forEach((cell, i) => {
    if (cell < count() && present(cell)) stroke(pen, cell, NEIGHBOURS[i], 2.4 * unit, statusOf(cell) === "accepted" ? [] : dashes);
  });
  for (const cell of state.marked) {
    stroke(pen, cell, "#05080b", 4.5 * unit, []);
    stroke(pen, cell, FIELD.marked, 3 * unit, [2 * unit, 2 * unit]);
  }
  if (state.chosen !== null && state.chosen < count()) {
    stroke(pen, state.chosen, "#05080b", 5 * unit, []);
    stroke(pen, state.chosen, FIELD.chosen, 2.6 * unit, statusOf(state.chosen) === "rejected" ? dashes : []);
  }
}

function inView(cell) {
  const [y, x] = state.rows.centers[cell], { height, width } = size(), room = 2 * state.facts.diameter * view.scale;
  const top = view.y + y * view.scale, left = view.x + x * view.scale;
  return top > -room && left > -room && top < height + room && left < width + room;
}

function stroke(pen, cell, colour, width, dashes) {
  paths[cell] ||= pathOf(cell);
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dashes);
  pen.stroke(paths[cell]);
}

function colourOf(cell, status) {
  if (state.colour === "score") return scale(score(cell) ?? 0);
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
  activity = { ...about, values: new Uint8Array(buffer, offset) };
  redraw();
}

// The cell under a place: the smallest outline that holds it.
export function cellAt(y, x) {
  const pen = panes[0].canvas.getContext("2d");
  pen.save();
  pen.setTransform(1, 0, 0, 1, 0, 0);
  let best = null, nearest = Infinity;
  for (const cell of drawn) {
    const [cy, cx] = state.rows.centers[cell];
    if (cy === null || (!present(cell) && state.filter !== "replaced")) continue;
    const distance = Math.hypot(cy - y, cx - x);
    if (distance > 3 * state.facts.diameter) continue;
    paths[cell] ||= pathOf(cell);
    const inside = pen.isPointInPath(paths[cell], x, y);
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
  const value = name === "picture" ? find("picture").value : find("beside").value;
  pane.canvas.hidden = value === "";
  if (value === "") pane.picture = null;
  else if (value.startsWith("movie:")) pane.picture = movie.picture(value.slice(6));
  else pane.picture = await layer(Number(value));
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

function pointers(pane) {
  const { canvas } = pane, down = new Map();
  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.clientY - box.top, event.clientX - box.left);
  }, { passive: false });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.clientY, event.clientX]);
    const light = event.button === 2 || event.altKey;
    drag = { moved: 0, y: event.clientY, x: event.clientX, window: light && pane.picture ? [...windowOf(pane)] : null, tool: !light && event.button === 0 && down.size === 1 && tools.down(toPixels(pane, event)) };
  });
  canvas.addEventListener("pointermove", (event) => {
    tell(pane, event);
    const before = down.get(event.pointerId);
    if (!before || !drag) return;
    const dy = event.clientY - before[0], dx = event.clientX - before[1];
    if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)[1], box = canvas.getBoundingClientRect();
      const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      zoom(apart([event.clientY, event.clientX]) / Math.max(apart(before), 1), other[0] - box.top, other[1] - box.left);
    } else if (drag.window) {
      const { picture } = pane, span = (picture.high - picture.low) / 400;
      const brighter = (drag.y - event.clientY) * span, steeper = Math.exp((drag.x - event.clientX) / 200);
      const middle = (drag.window[0] + drag.window[1]) / 2 - brighter, half = ((drag.window[1] - drag.window[0]) / 2) * steeper;
      setWindow(pane, middle - half, middle + half);
    } else if (drag.tool) tools.move(toPixels(pane, event));
    else {
      view.y += dy;
      view.x += dx;
      if (drag.moved + Math.abs(dy) + Math.abs(dx) > 4) view.fitted = false;
      redraw();
    }
    drag.moved += Math.abs(dy) + Math.abs(dx);
    down.set(event.pointerId, [event.clientY, event.clientX]);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId) || !drag || down.size) return;
    if (drag.tool) tools.up(toPixels(pane, event));
    else if (!drag.window && drag.moved <= 4 && event.type === "pointerup") {
      const cell = cellAt(...toPixels(pane, event));
      if (cell !== null && (event.shiftKey || event.ctrlKey || event.metaKey)) mark(cell);
      else if (cell !== null) choose(cell);
    }
    drag = null;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
}

function tell(pane, event) {
  const [y, x] = toPixels(pane, event), { picture } = pane;
  if (!picture?.values) return;
  const value = picture.at(((y + 0.5) * picture.height) / state.facts.height, ((x + 0.5) * picture.width) / state.facts.width);
  find("pointer").textContent = value === null ? "" : `y ${y.toFixed(1)}, x ${x.toFixed(1)}: ${Number(value.toPrecision(4))} ${picture.unit}`;
}

export function start() {
  panes.forEach(pointers);
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
  on("chosen", () => { centre(state.chosen); redraw(); });
  on("colour", () => { wantActivity(); redraw(); });
  on("frame", () => { wantActivity(); redraw({ picture: true }); });
  for (const event of ["marked", "details", "tool"]) on(event, redraw);
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
