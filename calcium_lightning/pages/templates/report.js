// The report: the field with its cells, the chosen one, and the table. Stands after drawing.js and sort.js in one script.

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const canvas = find("view"), body = document.querySelector("#table tbody");
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const view = new View();
const cells = data.outlines.map((cell) => ({ ...cell, path: pathOf(cell.lines) }));
for (const cell of cells) if (!cell.lines.length && cell.center) cell.path.arc(cell.center[1], cell.center[0], data.marker, 0, 7);
const rowOf = new Map([...(body?.rows ?? [])].map((row) => [Number(row.dataset.cell), row]));
const order = () => [...(body?.rows ?? [])].map((row) => Number(row.dataset.cell));
const pictures = [];
let shown = 0, chosen = null, plot = null;

// Pictures are packed: 16 bits a pixel.
async function picture(index) {
  if (!pictures[index]) {
    const about = data.layers[index];
    const packed = new Blob([bytesOf(about.numbers)]).stream().pipeThrough(new DecompressionStream("deflate"));
    pictures[index] = new Picture(new Uint16Array(await new Response(packed).arrayBuffer()), about);
    pictures[index].light = [...about.shown];
  }
  return pictures[index];
}

const visible = (cell, k) => k === chosen || find(cell.accepted ? "show-accepted" : "show-rejected").checked;

let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(async () => {
    waiting = false;
    const image = await picture(shown);
    image.paint(...image.light);
    if (view.fitted) view.fit(data.height, data.width, canvas.clientHeight, canvas.clientWidth);
    view.show(canvas, image, data.height, data.width);
    const pen = canvas.getContext("2d"), unit = view.transform(pen), large = 11 * unit;
    cells.forEach((cell, k) => {
      if (k !== chosen && visible(cell, k)) stroke(pen, cell.path, FIELD[cell.accepted ? "accepted" : "rejected"], 1.3, unit, !cell.accepted);
    });
    if (chosen !== null) stroke(pen, cells[chosen].path, FIELD.chosen, 2.4, unit, !cells[chosen].accepted);
    pen.setLineDash([]);
    if (find("show-numbers").checked) {
      Object.assign(pen, { font: `${large}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle", fillStyle: "#fff", strokeStyle: "#000", lineWidth: 2.5 * unit });
      cells.forEach((cell, k) => {
        if (!cell.center || !visible(cell, k)) return;
        pen.strokeText(k, cell.center[1], cell.center[0]);
        pen.fillText(k, cell.center[1], cell.center[0]);
      });
    }
    Object.assign(canvas.dataset, { scale: view.scale.toFixed(4), light: image.light.map(number).join(" "), layer: data.layers[shown].name, chosen: String(chosen) });
    document.documentElement.dataset.ready = "true";
  });
}

// The cell at a place: that whose centre is nearest among those whose outline holds it.
function cellAt([y, x]) {
  const pen = canvas.getContext("2d");
  pen.save();
  pen.setTransform(1, 0, 0, 1, 0, 0);
  const far = (cell) => Math.hypot(cell.center[0] - y, cell.center[1] - x);
  const here = cells.map((cell, k) => [cell, k]).filter(([cell, k]) => cell.center && visible(cell, k) && pen.isPointInPath(cell.path, x, y));
  pen.restore();
  return here.length ? here.reduce((one, other) => (far(other[0]) < far(one[0]) ? other : one))[1] : null;
}

function setLight(black, white) {
  const image = pictures[shown];
  if (!image) return;
  image.light = [black, Math.max(white, black + 1e-9)];
  draw();
}

// -1 to 1: how much brighter than at first, in halves of the range.
function brighten(value) {
  const [black, white] = data.layers[shown].shown, by = Number(value) * (white - black);
  setLight(black - (by > 0 ? 0 : by), white - (by > 0 ? 0.95 * by : 2 * by));
}

pointers(canvas, view, {
  moved: draw,
  light: () => {
    const image = pictures[shown];
    return image && { black: image.light[0], white: image.light[1], span: image.light[1] - image.light[0] };
  },
  setLight,
  click: (place) => { const cell = cellAt(place); if (cell !== null) choose(cell); },
  hover: (place, event) => {
    const cell = cellAt(place), note = find("hover"), box = canvas.getBoundingClientRect();
    note.hidden = cell === null;
    if (cell !== null) note.textContent = data.notes[cell];
    note.style.left = `${Math.min(event.clientX - box.left + 14, box.width - 160)}px`;
    note.style.top = `${event.clientY - box.top + 14}px`;
  },
});
canvas.addEventListener("pointerleave", () => { find("hover").hidden = true; });

// Time courses are bytes: least and largest trace, denoised trace and activity of each stretch of time.
const bytes = bytesOf(data.courses);
function course(cell) {
  const of = (kind) => bytes.subarray((cell * 4 + kind) * data.points, (cell * 4 + kind + 1) * data.points);
  const low = data.low[cell], step = (data.high[cell] - low) / 255, real = (byte) => low + step * byte;
  const [least, most, denoised, activity] = [0, 1, 2, 3].map(of), rows = [[], [], [], []];
  for (let i = 0; i < data.points; i++) {
    const time = data.start + ((i + 0.5) / data.points) * (data.end - data.start), half = (data.end - data.start) / data.points / 4;
    rows[0].push(time - half, time + half);
    rows[1].push(real(least[i]), real(most[i]));
    rows[2].push(real(denoised[i]), real(denoised[i]));
    rows[3].push(activity[i], null);
  }
  return rows;
}

function drawCourse(span = null) {
  plot?.destroy();
  plot = null;
  const box = find("cell-course");
  if (chosen === null || !data.points) return;
  const options = courseOptions({ width: box.clientWidth, height: 190, seconds: data.end - data.start, baseline: data.relative ? data.baseline[chosen] : 0, others: [] }, { setSelect: [zoomed] });
  plot = new uPlot(options, course(chosen), box);
  if (span) plot.setScale("x", { min: span[0], max: span[1] });
  Object.assign(box.dataset, { cell: String(chosen), span: span ? span.map(number).join(" ") : "" });
}

function zoomed(u) {
  if (u.select.width < 4) return;
  const span = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  setTimeout(() => drawCourse(span));
}
find("cell-course").addEventListener("dblclick", () => drawCourse());

function choose(cell, centre = false) {
  if (!Number.isInteger(cell) || cell < 0 || cell >= data.count) return;
  chosen = cell;
  document.querySelectorAll(".chosen").forEach((node) => node.classList.remove("chosen"));
  document.querySelectorAll(`[data-cell="${cell}"]`).forEach((node) => node.classList.add("chosen"));
  find("cell-name").textContent = `Cell #${cell}`;
  find("cell-number").value = cell;
  const small = document.querySelector(`.thumbnail[data-cell="${cell}"] img`), image = find("cell-footprint");
  image.hidden = !small;
  if (small) image.src = small.src;
  const headings = [...document.querySelectorAll("#table thead button")];
  find("cell-facts").replaceChildren(...[...rowOf.get(cell).cells].slice(1).flatMap((value, i) => {
    const name = document.createElement("dt"), text = document.createElement("dd");
    Object.assign(name, { textContent: headings[i + 1].textContent, title: headings[i + 1].title });
    text.textContent = value.textContent;
    return [name, text];
  }));
  if (centre && !view.fitted && cells[cell].center) {
    const [y, x] = view.toBox(...cells[cell].center);
    if (y < 20 || x < 20 || y > canvas.clientHeight - 20 || x > canvas.clientWidth - 20) view.pan(canvas.clientHeight / 2 - y, canvas.clientWidth / 2 - x);
  }
  draw();
  drawCourse();
}

function step(by) {
  const all = order(), next = chosen === null ? 0 : all.indexOf(chosen) + by;
  choose(all[Math.max(0, Math.min(next, all.length - 1))], true);
}

sortable(document.querySelector("#table table"));

const zoom = (factor) => { view.zoom(factor, canvas.clientHeight / 2, canvas.clientWidth / 2); draw(); };
const pan = (dy, dx) => { view.pan(dy, dx); draw(); };
const fit = () => { view.fitted = true; draw(); };
const light = (value) => { find("brightness").value = value; brighten(find("brightness").value); };
const show = (index) => { shown = index; find("layer").value = index; find("brightness").value = 0; draw(); };
const KEYS = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), 0: fit,
  "[": () => light(Number(find("brightness").value) - 0.1), "]": () => light(Number(find("brightness").value) + 0.1), "\\": () => light(0),
  i: () => show((shown + 1) % data.layers.length), a: () => find("show-accepted").click(), r: () => find("show-rejected").click(), n: () => find("show-numbers").click(),
  c: () => { if (chosen !== null && cells[chosen].center) { view.fitted = false; const [y, x] = view.toBox(...cells[chosen].center); pan(canvas.clientHeight / 2 - y, canvas.clientWidth / 2 - x); } },
  Escape: () => drawCourse(), "?": () => find("keys").showModal(),
};
const SHIFTED = { ArrowLeft: () => pan(0, 60), ArrowRight: () => pan(0, -60), ArrowUp: () => pan(60, 0), ArrowDown: () => pan(-60, 0) };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || find("keys").open || event.target.matches("input, select, textarea")) return;
  const heard = (event.shiftKey && SHIFTED[event.key]) || KEYS[event.key];
  if (!heard) return;
  event.preventDefault();
  heard();
});
document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-cell]");
  if (target && target.id !== "cell-course") choose(Number(target.dataset.cell), true);
});
find("previous").addEventListener("click", () => step(-1));
find("next").addEventListener("click", () => step(1));
find("cell-number").addEventListener("change", (event) => choose(Number.parseInt(event.target.value, 10), true));
find("layer").addEventListener("change", (event) => { show(Number(event.target.value)); event.target.blur(); });
find("brightness").addEventListener("input", (event) => brighten(event.target.value));
find("brightness").addEventListener("change", (event) => event.target.blur());
find("fit").addEventListener("click", fit);
for (const name of ["accepted", "rejected", "numbers"]) find(`show-${name}`).addEventListener("change", (event) => { event.target.blur(); draw(); });
new ResizeObserver(() => { draw(); drawCourse(); }).observe(canvas);
if (cells.length) choose(order()[0]);
draw();
