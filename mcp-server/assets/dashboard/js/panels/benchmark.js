// The latest benchmark, and the button that runs one.

import { callTool, get } from "../api.js";
import { ago, byId, count, empty, h, ms, percent, rate, setText, span } from "../dom.js";
import { admin } from "../token.js";

const NAMES = {
  mcp_operations: "MCP operations",
  store: "Store",
  cache: "Cache",
  end_to_end: "End to end",
  concurrent: "Concurrent",
};

function section(found) {
  const verdict = h("span", { class: "chip", "data-state": found.passed ? "good" : "bad" }, `${found.passed ? "met" : "missed"} · p95 ${ms(found.target_p95_ms)}`);
  return found.operations.map((operation, at) =>
    h("tr", {},
      h("td", {}, at === 0 ? NAMES[found.section] ?? found.section : ""),
      h("td", { class: "name" }, operation.operation),
      h("td", { class: "n" }, count(operation.samples)),
      h("td", { class: "n" }, ms(operation.p50_ms)),
      h("td", { class: "n" }, ms(operation.p95_ms)),
      h("td", { class: "n" }, ms(operation.p99_ms)),
      h("td", { class: "n" }, ms(operation.max_ms)),
      h("td", { class: "n" }, percent(operation.cached)),
      h("td", { class: operation.errors ? "n" : "n zero" }, count(operation.errors)),
      h("td", { class: "n" }, at === 0 ? rate(found.operations_per_second) : ""),
      h("td", {}, at === 0 ? verdict : "")));
}

function show(report) {
  if (!report) {
    byId("benchmark-report").replaceChildren(empty("No benchmark was run since the start. It measures this server while it serves, on memories of its own that are removed afterwards."));
    return;
  }
  const columns = ["Section", "Operation", "Samples:n", "p50:n", "p95:n", "p99:n", "Max:n", "Cached:n", "Errors:n", "Together:n", "Target"];
  const wrong = report.sections.flatMap((found) => found.wrong.map((text) => `${NAMES[found.section]}: ${text}`));
  byId("benchmark-report").replaceChildren(
    h("p", {},
      h("span", { class: "chip", "data-state": report.passed ? "good" : "bad" }, report.passed ? "passed" : "not passed"),
      ` ${count(report.samples_per_operation)} samples of each operation, ${report.validated ? "answers checked" : "answers not checked"}, ${span(Math.max(1, report.duration_ms / 1000))}, ${ago(report.began_at)}`),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Latest benchmark" },
      h("table", {},
        h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.endsWith(":n") ? "n" : null }, column.split(":")[0])))),
        h("tbody", {}, report.sections.flatMap(section)))),
    ...wrong.map((text) => h("p", { class: "muted" }, text)),
  );
}

/** Shows the latest report. */
export async function look() {
  try {
    show((await get("api/benchmark")).latest);
  } catch (error) {
    setText(byId("benchmark-says"), error.message);
  }
}

async function run(form) {
  const says = byId("benchmark-says");
  setText(says, "");
  if (!(await admin("Running a benchmark"))) return;
  const button = byId("benchmark-run");
  button.disabled = true;
  const began = Date.now();
  const tick = () => setText(says, `measuring, ${span((Date.now() - began) / 1000)} of 30 s at most`);
  tick();
  const timer = setInterval(tick, 1000);
  try {
    await callTool("run_performance_benchmark", {
      samples_per_operation: Number(form.elements.samples.value),
      include_validation: form.elements.validate.checked,
    });
    setText(says, "");
  } catch (error) {
    setText(says, error.message);
  } finally {
    clearInterval(timer);
    button.disabled = false;
  }
  // What failed may have left a report, too.
  await look();
}

/** Begins. */
export function begin() {
  byId("benchmark-form").addEventListener("submit", (event) => {
    event.preventDefault();
    run(event.target);
  });
}
