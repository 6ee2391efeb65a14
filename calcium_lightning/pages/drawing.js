// How pictures, outlines and time courses are drawn in a browser: one source for the page where a person decides,
// which is served this file as a module, and for reports, which hold its text (pages/page.py, `inline_module`).
// Knows numbers, canvases and uPlot; must not know cells' fate, requests, or any element of a page. Imports nothing.

// Colours to be told apart by everybody (Okabe & Ito 2008; cividis: Nuñez et al. 2018), and never the only sign:
// accepted is solid, rejected dashed, what a person decided is drawn thicker.
export const FIELD = { accepted: "#56b4e9", rejected: "#f0a35e", replaced: "#8a97a3", chosen: "#f0e442", marked: "#cc79a7", tool: "#f0e442", edge: "#05080b" };
export const NEIGHBOURS = ["#009e73", "#cc79a7", "#e69f00", "#7b6fd0", "#d55e00", "#00a3a3"];
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const stops = CIVIDIS.map((text) => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16)));

// A share from 0 to 1 on the cividis scale.
export function scale(share) {
  const place = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2), part = place - low;
  return `rgb(${stops[low].map((value, i) => Math.round(value + part * (stops[low + 1][i] - value))).join(" ")})`;
}

export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// A picture of numbers with a window of brightness and contrast: layers of 16 bits, frames of 8.
export class Picture {
  // about: height, width, low and high (what 0 and the largest step stand for), shown: [black, white] at first, unit.
  constructor(values, about) {
    Object.assign(this, { values, height: about.height, width: about.width, low: about.low, high: about.high, name: about.name || "", unit: about.unit || "" });
    this.steps = values instanceof Uint16Array ? 65535 : 255;
    this.shown = about.shown || [about.low, about.high];
    this.canvas = new OffscreenCanvas(this.width, this.height);
    this.pen = this.canvas.getContext("2d");
    this.image = this.pen.createImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.table = new Uint32Array(this.steps + 1);
    this.window = null;
  }

  // The same canvas with the numbers of another frame.
  take(values) {
    this.values = values;
    if (this.window) this.paint(...this.window, true);
  }

  paint(black, white, anyway = false) {
    const same = this.window && this.window[0] === black && this.window[1] === white;
    if (same && !anyway) return;
    if (!same) {
      const unit = (this.high - this.low) / this.steps, span = Math.max(white - black, 1e-9);
      for (let step = 0; step <= this.steps; step++) {
        const grey = Math.max(0, Math.min(255, Math.round((255 * (this.low + step * unit - black)) / span)));
        this.table[step] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      }
    }
    this.window = [black, white];
    const { pixels, values, table } = this;
    for (let i = 0; i < values.length; i++) pixels[i] = table[values[i]];
    this.pen.putImageData(this.image, 0, 0);
  }

  at(y, x) {
    const row = Math.floor(y), column = Math.floor(x);
    if (row < 0 || column < 0 || row >= this.height || column >= this.width) return null;
    return this.low + (this.values[row * this.width + column] / this.steps) * (this.high - this.low);
  }
}

// Which part of a field is shown, and how large: `scale` points of the screen a pixel, its corner at (y, x).
// Pixel (0, 0) has its middle at 0, so the picture begins at -0.5.
export class View {
  constructor() {
    Object.assign(this, { scale: 1, y: 0, x: 0, fitted: true });
  }

  // All of a field of (height, width) pixels in a box of (tall, wide) points.
  fit(height, width, tall, wide) {
    this.scale = Math.max(0.05, Math.min(tall / height, wide / width));
    this.y = (tall - this.scale * height) / 2;
    this.x = (wide - this.scale * width) / 2;
    this.fitted = true;
  }

  // Larger or smaller around a place of the box.
  zoom(factor, y, x) {
    const next = Math.max(0.1, Math.min(60, this.scale * factor)), change = next / this.scale;
    this.y = y - (y - this.y) * change;
    this.x = x - (x - this.x) * change;
    this.scale = next;
    this.fitted = false;
  }

  pan(dy, dx) {
    this.y += dy;
    this.x += dx;
    this.fitted = false;
  }

  // (y, x) of the field, pixels, under a pointer's event over `canvas`.
  toPixels(canvas, event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientY - box.top - this.y) / this.scale - 0.5, (event.clientX - box.left - this.x) / this.scale - 0.5];
  }

  // Where the middle of a pixel of the field lies in the box, points.
  toBox(y, x) {
    return [this.y + (y + 0.5) * this.scale, this.x + (x + 0.5) * this.scale];
  }

  // Have the pen draw in pixels of the field; returns how many pixels a point of the screen is, for widths of lines.
  transform(pen, ratio = devicePixelRatio || 1) {
    const step = this.scale * ratio;
    pen.setTransform(step, 0, 0, step, (this.x + this.scale / 2) * ratio, (this.y + this.scale / 2) * ratio);
    return 1 / this.scale;
  }

  // A picture, or null, on a canvas that is made as large as it is shown. height, width: of the field, pixels.
  show(canvas, picture, height, width, overlay = null) {
    const ratio = devicePixelRatio || 1, tall = Math.round(canvas.clientHeight * ratio), wide = Math.round(canvas.clientWidth * ratio);
    if (canvas.height !== tall || canvas.width !== wide) Object.assign(canvas, { height: tall, width: wide });
    const pen = canvas.getContext("2d"), step = this.scale * ratio;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    if (picture) {
      pen.imageSmoothingEnabled = picture.width < width;
      pen.drawImage(picture.canvas, this.x * ratio, this.y * ratio, width * step, height * step);
    }
    if (overlay) pen.drawImage(overlay, 0, 0);
  }
}

// A path of closed lines, each a flat list y, x, y, x, ... of pixels.
export function pathOf(lines) {
  const path = new Path2D();
  for (const line of lines) {
    path.moveTo(line[1], line[0]); // or it is joined to where the last one began
    for (let i = 2; i < line.length; i += 2) path.lineTo(line[i + 1], line[i]);
    path.closePath();
  }
  return path;
}

// An outline of `width` points; `unit` is what View.transform returned. Dashed ones are those that don't count.
export function stroke(pen, path, colour, width, unit, dashed = false) {
  pen.strokeStyle = colour;
  pen.lineWidth = width * unit;
  pen.setLineDash(dashed ? [4 * unit, 3 * unit] : []);
  pen.stroke(path);
}

// What pointers do over a canvas: drag to pan, wheel or pinch to zoom, Alt or the right button for brightness (up,
// down) and contrast (left, right), a click. `heard` may hold: moved() after the view changed; light() the window
// [black, white], and its span, or null; setLight(black, white); click(place, event); hover(place, event); and a tool
// that takes the pointer: down(place) true if it does, move(place), up(place).
export function pointers(canvas, view, heard) {
  const down = new Map();
  let drag = null;
  const local = (y, x) => { const box = canvas.getBoundingClientRect(); return [y - box.top, x - box.left]; };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...local(event.clientY, event.clientX));
    heard.moved();
  }, { passive: false });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.clientY, event.clientX]);
    const light = event.button === 2 || event.altKey;
    const taken = !light && event.button === 0 && down.size === 1 && (heard.down?.(view.toPixels(canvas, event)) ?? false);
    drag = { moved: 0, y: event.clientY, x: event.clientX, light: light ? heard.light?.() ?? null : null, taken };
  });
  canvas.addEventListener("pointermove", (event) => {
    heard.hover?.(view.toPixels(canvas, event), event);
    const before = down.get(event.pointerId);
    if (!before || !drag) return;
    const dy = event.clientY - before[0], dx = event.clientX - before[1];
    drag.moved += Math.abs(dy) + Math.abs(dx);
    if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)[1];
      const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      view.zoom(apart([event.clientY, event.clientX]) / Math.max(apart(before), 1), ...local(...other));
      heard.moved();
    } else if (drag.light) {
      const { black, white, span } = drag.light, brighter = ((drag.y - event.clientY) * span) / 400;
      const middle = (black + white) / 2 - brighter, half = ((white - black) / 2) * Math.exp((drag.x - event.clientX) / 200);
      heard.setLight(middle - half, middle + half);
    } else if (drag.taken) heard.move(view.toPixels(canvas, event));
    else {
      const { fitted } = view;
      view.pan(dy, dx);
      view.fitted = fitted && drag.moved <= 4; // a click that trembled isn't a drag
      heard.moved();
    }
    down.set(event.pointerId, [event.clientY, event.clientX]);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId) || !drag || down.size) return;
    if (drag.taken) heard.up(view.toPixels(canvas, event));
    else if (!drag.light && drag.moved <= 4 && event.type === "pointerup") heard.click?.(view.toPixels(canvas, event), event);
    drag = null;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
}

export const number = (value) => (value === 0 ? "0" : Math.abs(value) >= 1e4 || Math.abs(value) < 1e-2 ? value.toExponential(1) : String(Number(value.toPrecision(3))));

// A time on an axis, which may begin late: as many digits before the point as there are.
const moment = (value) => String(Number(value.toFixed(2)));

// Options of a uPlot of one cell's time course: time, trace, denoised, spikes, and the traces of others by name.
// about: width, height, seconds (the recording's length), baseline (F0, for an axis of ΔF/F; 0: none), others: [name].
export function courseOptions(about, hooks = {}) {
  const line = { stroke: themed("soft"), grid: { stroke: themed("line"), width: 1 }, ticks: { stroke: themed("line"), width: 1 }, font: "11px system-ui, sans-serif" };
  const minutes = about.seconds > 600, none = { show: false };
  return {
    width: about.width, height: about.height, padding: [8, 6, 0, 4], legend: none,
    series: [
      {},
      { label: "trace", stroke: themed("trace"), width: 1, points: none },
      { label: "denoised", stroke: themed("denoised"), width: 1.8, points: none },
      { label: "spikes", scale: "spikes", stroke: themed("spikes"), width: 1, points: none, paths: sticks },
      ...about.others.map((name, i) => ({ label: name, stroke: NEIGHBOURS[i % NEIGHBOURS.length], width: 1.2, dash: [6, 3], points: none })),
    ],
    axes: [
      { ...line, size: 28, values: (_, ticks) => ticks.map((value) => (minutes ? `${moment(value / 60)} min` : `${moment(value)} s`)) },
      { ...line, size: 54, values: (_, ticks) => ticks.map(number) },
      { ...line, scale: "y", side: 1, size: 54, grid: none, show: about.baseline > 0, values: (_, ticks) => ticks.map((value) => `${number((100 * value) / about.baseline)}%`) },
    ],
    cursor: { drag: { x: true, y: false, setScale: false }, points: none, y: false },
    scales: { x: { time: false }, y: { range: ownRange }, spikes: { range: (_, low, high) => [0, 5 * Math.max(high, 1e-9)] } },
    hooks,
  };
}

// The chosen cell's own range; a brighter neighbour may fill it up to three times.
function ownRange(plot) {
  const ends = [Infinity, -Infinity, -Infinity];
  for (const value of plot.data[1]) if (value !== null) [ends[0], ends[1]] = [Math.min(ends[0], value), Math.max(ends[1], value)];
  for (const row of plot.data.slice(4)) for (const value of row) if (value !== null) ends[2] = Math.max(ends[2], value);
  if (!Number.isFinite(ends[0])) return [0, 1];
  const top = Math.max(ends[1], Math.min(ends[2], 3 * ends[1])), room = 0.06 * (top - ends[0] || 1);
  return [ends[0] - room, top + room];
}

function sticks(plot, index, from, to) {
  const path = new Path2D(), floor = plot.valToPos(0, "spikes", true), values = plot.data[index];
  for (let i = from; i <= to; i++) {
    if (!(values[i] > 0)) continue;
    const x = plot.valToPos(plot.data[0][i], "x", true);
    path.moveTo(x, floor);
    path.lineTo(x, plot.valToPos(values[i], "spikes", true));
  }
  return { stroke: path };
}
