// Traces of the chosen cell and its neighbours, on uPlot. Knows time courses, nothing of cells' fate.

import { getPacked } from "./api.js";
import { NEIGHBOURS, courseOptions, themed } from "./drawing.js";
import { aboutChosen, frameAt, on, setFrame, state, timeOf } from "./store.js";

const MOST_TOLD = 20, find = (id) => document.getElementById(id);
const ask = aboutChosen(getPacked);
let plot = null, span = null;

function options(baseline, cells) {
  const box = find("plot"), { facts } = state;
  return courseOptions({
    width: box.clientWidth, height: box.clientHeight, seconds: facts.end - facts.start,
    baseline: facts.kind === "raw" ? baseline : 0, others: cells.slice(1).map((cell) => `cell ${cell}`),
  }, { setSelect: [zoomed], draw: [marks, now], ready: [listen] });
}

function zoomed(u) {
  if (u.select.width < 4) return;
  span = [frameAt(u.posToVal(u.select.left, "x")), frameAt(u.posToVal(u.select.left + u.select.width, "x")) + 1];
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  load();
}

function listen(u) {
  u.over.addEventListener("dblclick", () => { span = null; load(); });
  let place = null;
  u.over.addEventListener("mousedown", (event) => { place = event.clientX; });
  u.over.addEventListener("click", (event) => { if (Math.abs(event.clientX - place) < 4) setFrame(frameAt(u.posToVal(u.cursor.left, "x"))); });
}

// Events of the chosen cell, as small triangles along the upper edge.
function marks(u) {
  if (Number(find("cell").dataset.cell) !== state.chosen) return; // they are on their way
  const pen = u.ctx, size = 4 * devicePixelRatio, { left, top, width } = u.bbox;
  pen.save();
  pen.fillStyle = themed("ink");
  pen.beginPath();
  for (const frame of state.events) {
    const x = u.valToPos(timeOf(frame), "x", true);
    if (x < left || x > left + width) continue;
    pen.moveTo(x - size, top);
    pen.lineTo(x + size, top);
    pen.lineTo(x, top + 1.5 * size);
  }
  pen.fill();
  pen.restore();
}

// Where the movie is: a line of its own, so that the plot isn't drawn anew for each frame.
function now(u) {
  const line = find("now"), x = u.valToPos(timeOf(state.frame), "x"), width = u.over.clientWidth;
  line.hidden = !(x >= 0 && x <= width);
  line.style.transform = `translateX(${u.over.offsetLeft + x}px)`;
}

async function load() {
  const cell = state.chosen;
  if (cell === null) return;
  const range = span ? `&start=${span[0]}&stop=${span[1]}` : "", beside = find("with-neighbours").checked ? 4 : 0;
  const points = Math.max(400, 2 * find("plot").clientWidth);
  const answer = await ask(`traces?cells=${cell}&neighbours=${beside}&points=${points}${range}`);
  if (!answer) return;
  const { about, buffer, offset } = answer, { cells, baseline } = about, values = new Float32Array(buffer, offset);
  const row = (index) => Array.from(values.subarray(index * about.points, (index + 1) * about.points), (value) => (Number.isNaN(value) ? null : value));
  const data = [row(0), row(1), row(2), row(3), ...cells.slice(1).map((_, i) => row(1 + 3 * (i + 1) + 1))];
  plot?.destroy();
  plot = new window.uPlot(options(baseline || 0, cells), data, find("plot"));
  legend(cells);
  find("plot").dataset.cell = String(cell);
}

function legend(cells) {
  const parts = [["trace", themed("trace")], ["denoised", themed("denoised")], ["spikes", themed("spikes")], ["events", "▾"], ...cells.slice(1).map((cell, i) => [String(cell), NEIGHBOURS[i]])];
  find("legend").replaceChildren(...parts.map(([name, colour]) => {
    const item = document.createElement("span"), mark = document.createElement("i");
    if (colour === "▾") item.append(`▾ ${name}`);
    else {
      mark.style.borderColor = colour;
      item.append(mark, name);
    }
    return item;
  }));
}

// For who can't see it: when the cell was active.
function inWords() {
  const times = state.events.slice(0, MOST_TOLD).map((frame) => timeOf(frame).toFixed(1)), more = state.events.length - times.length;
  const events = times.length ? `events at ${times.join(", ")} seconds${more > 0 ? `, and ${more} more` : ""}` : "no event";
  const beside = state.neighbours.length ? `; beside it those of its neighbours ${state.neighbours.slice(0, 4).join(", ")}` : "";
  find("plot").setAttribute("aria-label", `Trace of cell ${state.chosen}: ${events}${beside}`);
}

export function redraw() {
  load();
}

export function start() {
  find("with-neighbours").addEventListener("change", load);
  on("chosen", () => { span = null; load(); });
  on("rows", load);
  on("details", () => { plot?.redraw(false, false); inWords(); });
  on("frame", () => plot && now(plot));
  new ResizeObserver(() => plot?.setSize({ width: find("plot").clientWidth, height: find("plot").clientHeight })).observe(find("plot"));
}
