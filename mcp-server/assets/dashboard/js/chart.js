// Lines over time: large ones by uPlot, small ones as SVG.

import { h } from "./dom.js";

const HEIGHT = 190;
const SVG = "http://www.w3.org/2000/svg";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A time in seconds, as exact as steps of so many seconds need. */
function clock(seconds, step) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (step < 60) options.second = "2-digit";
  return new Date(seconds * 1000).toLocaleTimeString("en", options);
}

/**
 * A chart in `container` of `lines` ({label, color, show}), whose names and values stand in `keys`.
 * `limit`: a level that is marked.
 */
export class LineChart {
  #container;
  #keys;
  #lines;
  #data;
  #plot = null;

  constructor(container, keys, lines) {
    this.#container = container;
    this.#lines = lines.map((line) => ({ ...line, value: h("b") }));
    this.#data = [[], ...lines.map(() => [])];
    this.#keys = keys;
    this.#keys.replaceChildren(
      ...this.#lines.map((line) => h("span", { "data-color": line.color }, `${line.label} `, line.value)),
    );
    document.addEventListener("themechange", () => this.#draw());
    new ResizeObserver(() => this.#fit()).observe(container);
  }

  /** `times` in seconds since 1970, and one column of figures for each line. */
  update(times, columns) {
    this.#data = [times, ...columns];
    if (!this.#plot) this.#draw();
    else this.#plot.setData(this.#data);
    if (this.#plot.cursor.idx === null || this.#plot.cursor.idx === undefined) this.#say(times.length - 1);
  }

  #say(index) {
    this.#lines.forEach((line, at) => {
      const value = this.#data[at + 1][index];
      const text = value === null || value === undefined ? "–" : line.show(value);
      if (line.value.textContent !== text) line.value.textContent = text;
    });
  }

  #fit() {
    const width = this.#container.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  #draw() {
    const width = this.#container.clientWidth;
    if (width === 0 || this.#data[0].length === 0) return;
    this.#plot?.destroy();
    const axis = {
      stroke: colour("muted"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    const [first] = this.#lines;
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        padding: [6, 10, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false } },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.12, first.least)] } },
        axes: [
          { ...axis, size: 22, gap: 4, space: 80, values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => clock(tick, step)) },
          { ...axis, size: 50, gap: 4, space: 34, values: (_plot, ticks) => ticks.map((tick) => first.show(tick)) },
        ],
        series: [
          {},
          ...this.#lines.map((line) => ({
            stroke: colour(line.color),
            width: 1.5,
            fill: line.fill ? `color-mix(in srgb, ${colour(line.color)} 12%, transparent)` : undefined,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [(plot) => this.#say(plot.cursor.idx ?? this.#data[0].length - 1)] },
      },
      this.#data,
      this.#container,
    );
  }
}

/** An empty small line. */
export function spark() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 110 22");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "polyline"));
  return svg;
}

/** Draws the figures into it, the newest at its right end; gaps are left out. */
export function drawSpark(svg, values, length) {
  const known = values.filter((value) => value !== null);
  const high = Math.max(...known, Number.MIN_VALUE);
  // A line that has just begun is drawn wider, so that it can be seen.
  const step = 110 / Math.max(1, Math.min(length, Math.max(values.length, length / 4)) - 1);
  const points = values.flatMap((value, index) => {
    if (value === null) return [];
    const x = 110 - (values.length - 1 - index) * step;
    return [`${x.toFixed(1)},${(20 - (value / high) * 18).toFixed(1)}`];
  });
  svg.firstElementChild.setAttribute("points", points.length > 1 ? points.join(" ") : "");
}
