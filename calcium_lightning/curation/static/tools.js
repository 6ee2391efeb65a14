// What is drawn by hand: the outline of a missed cell, and the line across one that is two. By pointer, or by keys:
// a circle that is moved and sized, a line that is turned and moved. Knows places, and sends actions.

import { decide, emit, on, say, state, trouble } from "./store.js";
import { FIELD } from "./drawing.js";

const find = (id) => document.getElementById(id);
let tool = null; // { kind: "draw" | "cut", points, shape }

export const tools = { busy: () => tool !== null, down, move, up, draw, key, begin, cancel };

function begin(kind) {
  if (kind === "cut" && state.chosen === null) return trouble("Choose the cell that is to be cut first.");
  if (kind === "draw" && !state.recording) return trouble("A cell is drawn on its recording: start the page with session=.");
  const [y, x] = state.chosen === null ? [state.facts.height / 2, state.facts.width / 2] : state.rows.centers[state.chosen];
  tool = { kind, points: [], shape: { y, x, size: state.facts.diameter / 2, angle: Math.PI / 4 } };
  const words = kind === "draw"
    ? "Draw around the cell with the pointer. By keys: arrows move the circle, + and − size it, Enter makes the cell, Escape leaves."
    : "Draw a line across the cell with the pointer. By keys: left and right turn the line, up and down move it, Enter cuts, Escape leaves.";
  find("tool").textContent = words;
  find("tool").hidden = false;
  find("field").focus();
  emit("tool");
}

function cancel() {
  tool = null;
  find("tool").hidden = true;
  find("tool").textContent = "";
  emit("tool");
}

function down(place) {
  if (!tool) return false;
  tool.points = [place];
  return true;
}

function move(place) {
  const last = tool.points[tool.points.length - 1];
  if (Math.hypot(place[0] - last[0], place[1] - last[1]) < 0.3) return;
  if (tool.kind === "cut") tool.points = [tool.points[0], place];
  else tool.points.push(place);
  emit("tool");
}

function up() {
  const enough = tool.kind === "draw" ? tool.points.length > 5 : tool.points.length > 1;
  if (enough) finish(tool.points);
  else {
    tool.points = [];
    emit("tool");
  }
}

function shaped() {
  const { y, x, size, angle } = tool.shape;
  if (tool.kind === "cut") {
    const reach = state.facts.diameter;
    return [[y - reach * Math.sin(angle), x - reach * Math.cos(angle)], [y + reach * Math.sin(angle), x + reach * Math.cos(angle)]];
  }
  return Array.from({ length: 24 }, (_, i) => [y + size * Math.sin((i * Math.PI) / 12), x + size * Math.cos((i * Math.PI) / 12)]);
}

async function finish(points) {
  const { kind } = tool, rounded = points.map((place) => place.map((value) => Math.round(value * 100) / 100));
  cancel();
  const action = kind === "draw" ? { do: "draw", outline: rounded } : { do: "split", cell: state.chosen, line: rounded };
  if (await decide(action)) say(kind === "draw" ? "A cell was drawn." : "The cell was cut in two.");
}

// Keys while a tool is in use; true for those that it takes.
function key(event) {
  if (!tool) return false;
  const { shape } = tool, far = event.shiftKey ? 5 : 1;
  const moves = { ArrowUp: [-far, 0], ArrowDown: [far, 0], ArrowLeft: [0, -far], ArrowRight: [0, far] };
  if (event.key === "Escape") cancel();
  else if (event.key === "Enter") finish(shaped());
  else if (event.key in moves && tool.kind === "draw") {
    shape.y = Math.max(0, Math.min(state.facts.height - 1, shape.y + moves[event.key][0]));
    shape.x = Math.max(0, Math.min(state.facts.width - 1, shape.x + moves[event.key][1]));
  } else if (event.key in moves) {
    const [along, turn] = moves[event.key];
    shape.angle += (turn * Math.PI) / 24;
    shape.y += 0.5 * along * Math.cos(shape.angle);
    shape.x -= 0.5 * along * Math.sin(shape.angle);
  } else if (["+", "="].includes(event.key)) shape.size *= 1.08;
  else if (["-", "−"].includes(event.key)) shape.size = Math.max(1.5, shape.size / 1.08);
  else return false;
  emit("tool");
  return true;
}

function draw(pen, unit) {
  if (!tool) return;
  const points = tool.points.length ? tool.points : shaped();
  for (const [colour, width] of [[FIELD.edge, 4.5], [FIELD.tool, 2.2]]) {
    pen.beginPath();
    for (const [y, x] of points) pen.lineTo(x, y);
    if (tool.kind === "draw" && !tool.points.length) pen.closePath();
    pen.setLineDash([]);
    pen.strokeStyle = colour;
    pen.lineWidth = width * unit;
    pen.stroke();
  }
}

export function start() {
  find("draw").addEventListener("click", () => begin("draw"));
  find("cut").addEventListener("click", () => begin("cut"));
  on("chosen", () => tool?.kind === "cut" && cancel());
}
