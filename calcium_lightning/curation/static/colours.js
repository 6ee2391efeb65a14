// Colours, chosen to be told apart by everybody (Okabe & Ito 2008; cividis: Nuñez et al. 2018), and never the only
// sign: accepted is solid, rejected dashed, what a person decided is drawn thicker.

export const FIELD = { accepted: "#56b4e9", rejected: "#f0a35e", replaced: "#8a97a3", chosen: "#f0e442", marked: "#cc79a7", tool: "#f0e442" };
export const NEIGHBOURS = ["#e69f00", "#009e73", "#cc79a7", "#d55e00", "#7b6fd0", "#00a3a3"];
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const stops = CIVIDIS.map((text) => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16)));

export function scale(share) {
  const place = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2), part = place - low;
  return `rgb(${stops[low].map((value, i) => Math.round(value + part * (stops[low + 1][i] - value))).join(" ")})`;
}

export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
