"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = Uint8Array.from(atob(data.courses), (c) => c.charCodeAt(0));
  const find = (id) => document.getElementById(id);
  const view = find("view"), canvas = find("cell-course"), number = find("cell-number");
  // the table lists the cells by certainty, which is the order of the buttons
  const rows = [...document.querySelectorAll("#table tbody tr")];
  const order = rows.map((row) => Number(row.dataset.cell));
  const headings = [...document.querySelectorAll("#table thead th")].map((cell) => cell.textContent);
  let chosen = null;

  const course = (cell, kind) => bytes.subarray((cell * 4 + kind) * data.points, (cell * 4 + kind + 1) * data.points);

  function ticks(low, high, about) {
    const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) || rough;
    const all = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) all.push(value);
    return all;
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, height);
    if (chosen === null || !data.points) return;
    const left = 44, right = width - 6, top = 6, base = height - 56, floor = height - 22, n = data.points;
    const low = data.low[chosen], high = data.high[chosen];
    const x = (i) => left + ((i + 0.5) / n) * (right - left);
    const y = (byte) => base - (byte / 255) * (base - top);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = "#5b6670";
    pen.strokeStyle = "#eef1f4";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of ticks(low, high, 4)) {
      const place = base - ((value - low) / (high - low)) * (base - top);
      pen.beginPath();
      pen.moveTo(left, place);
      pen.lineTo(right, place);
      pen.stroke();
      pen.fillText(String(Number(value.toPrecision(3))), left - 6, place);
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const minutes = data.end - data.start > 300, unit = minutes ? 60 : 1;
    const length = Math.max(data.end - data.start, 1e-9);
    for (const value of ticks(data.start / unit, data.end / unit, 5)) {
      pen.fillText(`${Number(value.toPrecision(6))} ${minutes ? "min" : "s"}`, left + ((value * unit - data.start) / length) * (right - left), floor + 6);
    }
    const lowest = course(chosen, 0), highest = course(chosen, 1), denoised = course(chosen, 2), activity = course(chosen, 3);
    pen.beginPath();
    for (let i = 0; i < n; i++) pen.lineTo(x(i), y(lowest[i]));
    for (let i = n - 1; i >= 0; i--) pen.lineTo(x(i), y(highest[i]));
    pen.closePath();
    pen.fillStyle = pen.strokeStyle = "#a9b4bf";
    pen.lineWidth = 0.8;
    pen.fill();
    pen.stroke();
    pen.beginPath();
    for (let i = 0; i < n; i++) pen.lineTo(x(i), y(denoised[i]));
    pen.strokeStyle = "#0f9d8a";
    pen.lineWidth = 1.4;
    pen.stroke();
    pen.beginPath();
    for (let i = 0; i < n; i++) {
      if (!activity[i]) continue;
      pen.moveTo(x(i), floor);
      pen.lineTo(x(i), floor - 2 - (activity[i] / 255) * (floor - base - 8));
    }
    pen.strokeStyle = "#c2410c";
    pen.lineWidth = 1;
    pen.stroke();
  }

  function choose(cell) {
    if (!Number.isInteger(cell) || cell < 0 || cell >= data.count) return;
    chosen = cell;
    document.querySelectorAll(".chosen").forEach((node) => node.classList.remove("chosen"));
    document.querySelectorAll(`[data-cell="${cell}"]`).forEach((node) => node.classList.add("chosen"));
    const group = view.querySelector(`g[data-cell="${cell}"]`);
    if (group) group.parentNode.appendChild(group); // on top of its neighbours
    find("cell-name").textContent = `Cell #${cell}`;
    number.value = cell;
    const picture = document.querySelector(`.thumbnail[data-cell="${cell}"] img`), shown = find("cell-footprint");
    shown.hidden = !picture;
    if (picture) shown.src = picture.src;
    const facts = find("cell-facts");
    facts.replaceChildren();
    [...rows[order.indexOf(cell)].cells].slice(1).forEach((value, i) => {
      const name = document.createElement("dt"), text = document.createElement("dd");
      name.textContent = headings[i + 1] || "status";
      text.textContent = value.textContent;
      facts.append(name, text);
    });
    draw();
  }

  const step = (by) => choose(order[Math.min(Math.max(order.indexOf(chosen) + by, 0), order.length - 1)]);
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-cell]");
    if (target) choose(Number(target.dataset.cell));
  });
  find("previous").addEventListener("click", () => step(-1));
  find("next").addEventListener("click", () => step(1));
  number.addEventListener("change", () => choose(Number.parseInt(number.value, 10)));
  find("layer").addEventListener("change", (event) => {
    document.querySelectorAll("#view .layer").forEach((layer, i) => layer.setAttribute("visibility", i === Number(event.target.value) ? "visible" : "hidden"));
  });
  for (const kind of ["accepted", "rejected"]) {
    find(`show-${kind}`).addEventListener("change", (event) => view.classList.toggle(`hide-${kind}`, !event.target.checked));
  }
  find("show-numbers").addEventListener("change", (event) => view.classList.toggle("numbers", event.target.checked));
  window.addEventListener("resize", draw);
  if (order.length) choose(order[0]);
  document.documentElement.dataset.ready = "true";
})();
