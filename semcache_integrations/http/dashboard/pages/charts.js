"use strict";
// Line charts in SVG. Everything that is written is a text node.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 8, right: 10, bottom: 20, left: 44 };
const BREAK_STEPS = 4; // a line does not bridge a longer silence

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function html(name, className = "", ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function swatch(line) {
  return svg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" },
    svg("path", { d: "M1 4H15", class: `line ${line.kind}${line.thin ? " thin" : ""}` }));
}

function fillLegend(list, lines, format) {
  list.replaceChildren(...lines.map((line) => {
    const last = line.points.filter((point) => point.y !== null).at(-1);
    return html("li", "", swatch(line), line.name, html("b", "", last ? format(last.y) : "–"));
  }));
}

// The steps of ten seconds, minutes or quarters at which the time axis is marked.
function timeTicks(from, to, width) {
  const most = Math.max(2, Math.floor(width / 90));
  const step = [15, 30, 60, 120, 300, 600, 900, 1800].find((each) => (to - from) / each <= most) || 3600;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return { ticks, seconds: step < 60 };
}

function clockTime(at, seconds = true) {
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds ? { second: "2-digit" } : {}) };
  return new Date(at * 1000).toLocaleTimeString([], parts);
}

class LineChart {
  // A chart in `place`. `scale` is "share" (0 to 100 %) or "log"; `format` writes a value.
  constructor(place, legend, { name, scale, format }) {
    Object.assign(this, { place, legend, name, scale, format, data: null, pointer: null });
    this.tip = html("div", "tip");
    this.tip.hidden = true;
    this.drawing = svg("svg", { role: "img" });
    place.append(this.drawing, this.tip);
    place.addEventListener("pointermove", (event) => this.point(event.clientX));
    place.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  // lines: [{name, kind, thin, points: [{x, y}]}], y null for "nothing happened".
  show(lines, from, to, step) {
    this.data = { lines, from, to, step };
    fillLegend(this.legend, lines, this.format);
    this.draw();
  }

  draw() {
    if (!this.data) return;
    const width = this.place.clientWidth, height = this.place.clientHeight;
    if (!width || !height) return;
    const { lines, from, to } = this.data;
    const x = (at) => MARGIN.left + ((at - from) / (to - from)) * (width - MARGIN.left - MARGIN.right);
    const { y, ticks } = this.vertical(lines, height - MARGIN.bottom);
    this.x = x; this.y = y;
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.drawing.setAttribute("aria-label", this.spoken());
    this.drawing.replaceChildren(
      ...this.grid(ticks, y, width), ...this.times(from, to, x, width, height), ...lines.map((line) => this.path(line, x, y)),
      this.cursor = svg("g"));
    this.hover();
  }

  vertical(lines, bottom) {
    const room = bottom - MARGIN.top;
    if (this.scale === "share") {
      return { y: (value) => bottom - value * room, ticks: [0, 0.25, 0.5, 0.75, 1] };
    }
    const values = lines.flatMap((line) => line.points).map((point) => point.y).filter((value) => value > 0);
    const low = Math.floor(Math.log10(Math.min(1, ...values)) + 1e-9), high = Math.ceil(Math.log10(Math.max(1000, ...values)));
    const y = (value) => bottom - ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * room;
    return { y, ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)) };
  }

  grid(ticks, y, width) {
    return ticks.flatMap((value, index) => [
      svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value), class: index ? "grid" : "axis" }),
      svg("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, this.format(value))]);
  }

  times(from, to, x, width, height) {
    const { ticks, seconds } = timeTicks(from, to, width);
    return ticks.map((at) => svg("text", {
      x: Math.min(x(at), width - 16), y: height - 4, "text-anchor": "middle" }, clockTime(at, seconds)));
  }

  path(line, x, y) {
    let drawn = "", before = null;
    for (const point of line.points) {
      if (point.y === null) continue;
      const joins = before !== null && point.x - before <= BREAK_STEPS * this.data.step;
      drawn += `${joins ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`;
      if (!joins) drawn += "h.01"; // so that a point between two silences is seen
      before = point.x;
    }
    return svg("path", { d: drawn, class: `line ${line.kind}${line.thin ? " thin" : ""}` });
  }

  spoken() {
    const now = this.data.lines.map((line) => {
      const last = line.points.filter((point) => point.y !== null).at(-1);
      return `${line.name} ${last ? this.format(last.y) : "nothing yet"}`;
    });
    return `${this.name}, now: ${now.join(", ")}`;
  }

  point(clientX) {
    this.pointer = clientX;
    this.hover();
  }

  hover() {
    if (!this.cursor) return;
    const at = this.pointer === null ? null : this.nearest(this.pointer - this.place.getBoundingClientRect().left);
    this.tip.hidden = at === null;
    this.cursor.replaceChildren();
    if (at === null) return;
    const found = this.data.lines.map((line) => ({ line, point: line.points.find((point) => point.x === at && point.y !== null) }))
      .filter((one) => one.point);
    const left = this.x(at);
    this.cursor.append(
      svg("line", { x1: left, x2: left, y1: MARGIN.top, y2: this.place.clientHeight - MARGIN.bottom, class: "cursor" }),
      ...found.map(({ line, point }) => svg("circle", { cx: left, cy: this.y(point.y), r: 4, class: `mark ${line.kind}` })));
    this.tip.replaceChildren(
      html("p", "", clockTime(at)),
      html("ul", "", ...found.map(({ line, point }) => html("li", "", swatch(line), line.name, html("b", "", this.format(point.y))))));
    const right = left > this.place.clientWidth / 2;
    this.tip.style.left = right ? "auto" : `${left + 12}px`;
    this.tip.style.right = right ? `${this.place.clientWidth - left + 12}px` : "auto";
  }

  nearest(left) {
    const times = this.data.lines.flatMap((line) => line.points.filter((point) => point.y !== null).map((point) => point.x));
    let best = null;
    for (const at of times) {
      if (best === null || Math.abs(this.x(at) - left) < Math.abs(this.x(best) - left)) best = at;
    }
    return best;
  }
}
