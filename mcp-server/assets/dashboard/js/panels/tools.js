// Latency and rate of each tool, by whatever kind of client.

import { drawSpark, spark } from "../chart.js";
import { byId, count, empty, h, keep, ms, percent, rate, setAttributes, setText } from "../dom.js";
import { SPARK_LENGTH, together } from "../series.js";

const TARGETS = { local: 50, fast: 100, gateway: 200 };

/** One entry for each tool, the busiest first. */
export function byTool(status, windowName) {
  const tools = new Map();
  for (const entry of status.tools) {
    const tool = tools.get(entry.tool) ?? { name: entry.tool, tier: entry.tier, lanes: [], windows: [] };
    tool.lanes.push(entry.lane);
    tool.windows.push(entry[windowName]);
    tools.set(entry.tool, tool);
  }
  return [...tools.values()].map((tool) => ({ ...tool, ...together(tool.windows) }));
}

function row(tool) {
  const cell = (kind) => h("td", kind ? { class: kind } : {});
  return h(
    "tr",
    {},
    h("td", { class: "name" }, tool.name),
    h("td", {}, h("span", { class: "chip" }, tool.tier)),
    cell("n"), cell("n"),
    h("td", {}, spark()),
    cell("n"), cell("n"), cell("n"), cell("n"), cell("n"),
    h("td", {}, h("span", { class: "chip" })),
  );
}

/** Shows a status. */
export function update(status, series, windowName) {
  const tools = byTool(status, windowName).filter((tool) => tool.calls > 0);
  tools.sort((one, other) => other.calls - one.calls || one.name.localeCompare(other.name));
  keep(byId("tools-rows"), tools, (tool) => tool.name, row, (element, tool) => {
    const cells = element.children;
    const failed = tool.errors / tool.calls;
    setText(cells[2], count(tool.calls));
    setText(cells[3], rate(tool.per_second));
    drawSpark(cells[4].firstElementChild, series.latest(`p95:${tool.name}`, SPARK_LENGTH), SPARK_LENGTH);
    setText(cells[5], ms(tool.p50_ms));
    setText(cells[6], ms(tool.p95_ms));
    setText(cells[7], ms(tool.p99_ms));
    setText(cells[8], ms(tool.max_ms));
    setText(cells[9], tool.errors ? percent(failed) : "0");
    setAttributes(cells[9], { class: tool.errors ? "n" : "n zero" });
    const chip = cells[10].firstElementChild;
    const met = tool.p95_ms < TARGETS[tool.tier];
    setText(chip, `${met ? "met" : "missed"} · ${TARGETS[tool.tier]} ms`);
    setAttributes(chip, { "data-state": met ? "good" : "bad" });
  });
  const none = byId("tools-empty");
  if (tools.length) none.replaceChildren();
  else if (!none.firstElementChild) none.replaceChildren(empty("No calls in this window. Each tool appears here with its first call."));
}
