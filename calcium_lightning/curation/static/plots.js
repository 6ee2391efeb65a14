// Traces of the chosen cell and its neighbours, on uPlot. Knows time courses, nothing of cells' fate.

import { getPacked } from "./api.js";
import { NEIGHBOURS, themed } from "./colours.js";
import { frameAt, on, setFrame, state, timeOf } from "./store.js";

const find = (id) => document.getElementById(id);
let plot = null, span = null, waiting = null;

const number = (value) => (value === 0 ? "0" : Math.abs(value) >= 1e4 || Math.abs(value) < 1e-2 ? value.toExponential(1) : String(Number(value.toPrecision(3))));

function axes(baseline) {
  const line = { stroke: themed("soft"), grid: { stroke: themed("line"), width: 1 }, ticks: { stroke: themed("line"), width: 1 }, font: "11px system-ui, sans-serif" };
  const long = state.facts.end - state.facts.start > 600;
  const relative = state.facts.kind === "raw" && baseline > 0;
  return [
    { ...line, size: 28, values: (_, ticks) => ticks.map((value) => (long ? `${number(value / 60)} min` : `${number(value)} s`)) },
    { ...line, size: 54, values: (_, ticks) => ticks.map(number) },
    { ...line, scale: "y", side: 1, size: 54, grid: { show: false }, show: relative, values: (_, ticks) => ticks.map((value) => `${number((100 * value) / baseline)}%`) },
  ];
}

function options(baseline, cells) {
  const box = find("plot"), series = [{}];
  series.push({ label: "trace", stroke: themed("trace"), width: 1, points: { show: false } });
  series.push({ label: "denoised", stroke: themed("denoised"), width: 1.8, points: { show: false } });
  series.push({ label: "spikes", scale: "spikes", stroke: themed("spikes"), width: 1, points: { show: false }, paths: sticks });
  cells.slice(1).forEach((_, i) => series.push({ label: `cell ${cells[i + 1]}`, stroke: NEIGHBOURS[i], width: 1.2, dash: [6, 3], points: { show: false } }));
  return {
    width: box.clientWidth, height: box.clientHeight, padding: [8, 6, 0, 4], legend: { show: false }, series, axes: axes(baseline),
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
    scales: { x: { time: false }, y: { range: limits }, spikes: { range: (_, low, high) => [0, 5 * Math.max(high, 1e-9)] } },
    hooks: { setSelect: [zoomed], draw: [now], ready: [listen] },
  };
}

// The chosen cell's own range; a brighter neighbour may fill it up to three times.
function limits(u) {
  const ends = [Infinity, -Infinity, -Infinity];
  for (const value of u.data[1]) if (value !== null) [ends[0], ends[1]] = [Math.min(ends[0], value), Math.max(ends[1], value)];
  for (const row of u.data.slice(4)) for (const value of row) if (value !== null) ends[2] = Math.max(ends[2], value);
  if (!Number.isFinite(ends[0])) return [0, 1];
  const top = Math.max(ends[1], Math.min(ends[2], 3 * ends[1])), room = 0.06 * (top - ends[0] || 1);
  return [ends[0] - room, top + room];
}

function sticks(u, index, from, to) {
  const path = new Path2D(), floor = u.valToPos(0, "spikes", true), values = u.data[index];
  for (let i = from; i <= to; i++) {
    if (!(values[i] > 0)) continue;
    const x = u.valToPos(u.data[0][i], "x", true);
    path.moveTo(x, floor);
    path.lineTo(x, u.valToPos(values[i], "spikes", true));
  }
  return { stroke: path };
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

// Where the movie is: a line of its own, so that the plot isn't drawn anew for each frame.
function now(u) {
  const line = find("now"), x = u.valToPos(timeOf(state.frame), "x"), width = u.over.clientWidth;
  line.hidden = !(x >= 0 && x <= width);
  line.style.transform = `translateX(${u.over.offsetLeft + x}px)`;
}

async function load() {
  const cell = state.chosen;
  if (cell === null) return;
  waiting?.abort();
  waiting = new AbortController();
  const range = span ? `&start=${span[0]}&stop=${span[1]}` : "", beside = find("with-neighbours").checked ? 4 : 0;
  const points = Math.max(400, 2 * find("plot").clientWidth);
  let answer;
  try {
    answer = await getPacked(`traces?cells=${cell}&neighbours=${beside}&points=${points}${range}`, waiting.signal);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    return;
  }
  const { about, buffer, offset } = answer, { cells, baseline } = about, values = new Float32Array(buffer, offset);
  const row = (index) => Array.from(values.subarray(index * about.points, (index + 1) * about.points), (value) => (Number.isNaN(value) ? null : value));
  const data = [row(0), row(1), row(2), row(3), ...cells.slice(1).map((_, i) => row(1 + 3 * (i + 1) + 1))];
  plot?.destroy();
  plot = new window.uPlot(options(baseline || 0, cells), data, find("plot"));
  legend(cells);
  find("plot").dataset.cell = String(cell);
}

function legend(cells) {
  const parts = [["trace", themed("trace")], ["denoised", themed("denoised")], ["spikes", themed("spikes")], ...cells.slice(1).map((cell, i) => [`cell ${cell}`, NEIGHBOURS[i]])];
  find("legend").replaceChildren(...parts.map(([name, colour]) => {
    const item = document.createElement("span"), mark = document.createElement("i");
    mark.style.borderColor = colour;
    item.append(mark, name);
    return item;
  }));
}

export function redraw() {
  load();
}

export function start() {
  find("with-neighbours").addEventListener("change", load);
  on("chosen", () => { span = null; load(); });
  on("rows", load);
  on("frame", () => plot && now(plot));
  new ResizeObserver(() => plot?.setSize({ width: find("plot").clientWidth, height: find("plot").clientHeight })).observe(find("plot"));
}
