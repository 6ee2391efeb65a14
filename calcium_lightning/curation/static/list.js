// The list of cells: filtered, sorted, only what is seen of it in the document. Knows cells and their numbers.

import { choose, count, byHand, mark, on, emit, present, say, score, settled, state, statusOf, trouble } from "./store.js";

const HEIGHT = 26, find = (id) => document.getElementById(id);
const FILTERS = {
  present, undecided: (cell) => present(cell) && !byHand(cell), accepted: (cell) => statusOf(cell) === "accepted", rejected: (cell) => statusOf(cell) === "rejected",
  decided: (cell) => present(cell) && byHand(cell), made: (cell) => present(cell) && state.standing.origin[cell] !== "found", replaced: (cell) => !present(cell),
};

const ACROSS = ["track", "days", "probability"]; // of the track, where there are tracks
const quality = (cell, name) => (name === "cell" ? cell : (state.tracks && ACROSS.includes(name) ? state.tracks : state.rows.quality)[name]?.[cell] ?? null);

// "snr > 5, label = place cell, note": all of them must hold.
function parse(text) {
  return text.split(",").map((part) => part.trim()).filter(Boolean).map((part) => {
    const [, name, sign, value] = /^([\w ]+?)\s*(>=|<=|>|<|=)?\s*([^<>=]*)$/.exec(part) || [];
    const known = name === "label" || name === "note" || name === "cell" || name in state.rows.quality || (state.tracks && ACROSS.includes(name));
    if (!known || (sign && value === "")) throw new Error(`“${part}”: a quality, a sign and a number, such as snr > 5; or label = …, note`);
    if (name === "label") return (cell) => (state.standing.labels[cell] || []).some((label) => !value || label === value.trim());
    if (name === "note") return (cell) => (state.standing.notes[cell] || "").includes(value.trim());
    const limit = Number(value);
    if (!sign || Number.isNaN(limit)) throw new Error(`“${part}”: ${name} needs a sign and a number`);
    const holds = { ">": (a) => a > limit, "<": (a) => a < limit, ">=": (a) => a >= limit, "<=": (a) => a <= limit, "=": (a) => a === limit }[sign];
    return (cell) => { const found = quality(cell, name); return found !== null && holds(found); };
  });
}

function order() {
  const cells = [];
  for (let cell = 0; cell < count(); cell++) if (FILTERS[state.filter](cell) && state.condition.every((holds) => holds(cell))) cells.push(cell);
  const sign = state.falling ? -1 : 1, worst = -Infinity;
  const doubt = (cell) => -Math.abs((score(cell) ?? 0.5) - state.facts.thresholds.score);
  const key = state.sort === "uncertainty" ? doubt : (cell) => quality(cell, state.sort) ?? worst;
  const keys = new Map(cells.map((cell) => [cell, key(cell)]));
  cells.sort((a, b) => sign * (keys.get(a) - keys.get(b)) || a - b);
  state.order = cells;
  find("list-size").style.height = `${cells.length * HEIGHT}px`;
  emit("order");
  draw();
}

function item(cell, place) {
  const row = document.createElement("div"), status = statusOf(cell);
  row.className = `item${state.marked.has(cell) ? " marked" : ""}`;
  row.id = `item-${cell}`;
  row.style.top = `${place * HEIGHT}px`;
  row.dataset.cell = cell;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(cell === state.chosen));
  row.setAttribute("aria-setsize", String(state.order.length));
  row.setAttribute("aria-posinset", String(place + 1));
  const shown = state.sort === "cell" || state.sort === "score" || state.sort === "uncertainty" ? "snr" : state.sort;
  const texts = [String(cell), wordsOf(cell, status), text(score(cell)), text(quality(cell, shown))];
  row.append(...texts.map((words, i) => {
    const part = document.createElement("span");
    part.textContent = words;
    if (i === 1) part.className = `what ${status}${byHand(cell) ? " hand" : ""}`;
    return part;
  }));
  return row;
}

function wordsOf(cell, status) {
  const { origin, labels, notes, replacedBy } = state.standing, made = origin[cell] === "found" ? "" : ` ${origin[cell]}`;
  const sign = { accepted: "✓", rejected: "✗", replaced: "→" }[status], name = status === "replaced" ? `in ${replacedBy[cell]}` : status;
  return `${sign} ${name}${made}${notes[cell] ? " ✎" : ""}${(labels[cell] || []).length ? ` #${labels[cell].join(" #")}` : ""}`;
}

export const text = (value) => (value === null || value === undefined ? "–" : Math.abs(value) >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3))));

function draw() {
  const list = find("list"), first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 4), last = Math.min(state.order.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 4);
  find("list-size").replaceChildren(...state.order.slice(first, last).map((cell, i) => item(cell, first + i)));
  const there = state.chosen !== null && document.getElementById(`item-${state.chosen}`);
  if (there) list.setAttribute("aria-activedescendant", there.id);
  else list.removeAttribute("aria-activedescendant");
  find("head-sort").textContent = ["cell", "score", "uncertainty"].includes(state.sort) ? "snr" : state.sort;
}

function reveal() {
  const place = state.order.indexOf(state.chosen), list = find("list");
  if (place >= 0) {
    const top = place * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
  }
  draw();
}

export function move(by) {
  const place = state.order.indexOf(state.chosen), next = state.order[Math.max(0, Math.min(state.order.length - 1, place < 0 ? 0 : place + by))];
  if (next !== undefined) choose(next);
}

export function start() {
  const list = find("list");
  list.addEventListener("scroll", draw, { passive: true });
  list.addEventListener("click", (event) => {
    const row = event.target.closest(".item");
    if (!row) return;
    const cell = Number(row.dataset.cell);
    if (event.shiftKey || event.ctrlKey || event.metaKey) mark(cell);
    else choose(cell);
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.floor(list.clientHeight / HEIGHT), steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.altKey) return;
    event.preventDefault();
    move(steps[event.key]);
  });
  find("filter").addEventListener("change", (event) => { state.filter = event.target.value; order(); say(`${state.order.length} cells in the list`); });
  find("sort").addEventListener("change", (event) => { state.sort = event.target.value; order(); });
  find("direction").addEventListener("click", (event) => {
    state.falling = !state.falling;
    event.target.textContent = state.falling ? "↓" : "↑";
    event.target.setAttribute("aria-label", `Sort direction: ${state.falling ? "falling" : "rising"}`);
    order();
  });
  find("condition").addEventListener("change", (event) => {
    try {
      state.condition = parse(event.target.value);
      settled();
    } catch (error) {
      trouble(error.message);
      return;
    }
    order();
    say(`${state.order.length} cells in the list`);
  });
  new ResizeObserver(() => state.facts && draw()).observe(list);
  on("loaded", () => {
    const names = ["score", "uncertainty", "cell", ...(state.tracks ? ACROSS : []), ...Object.keys(state.rows.quality).filter((name) => name !== "score" && !(state.tracks && ACROSS.includes(name)))];
    find("sort").replaceChildren(...names.map((name) => new Option(name, name)));
  });
  on("standing", () => { order(); reveal(); });
  on("chosen", reveal);
  on("marked", draw);
}
