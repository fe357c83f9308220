// The grade and what it is made of, and the two large charts.

import { LineChart } from "../chart.js";
import { byId, bytes, count, h, ms, percent, rate, setAttributes, setText, span } from "../dom.js";

const NAMES = { minute: "last minute", hour: "last hour", day: "last 24 hours" };
let latency;
let calls;
let history = "";

/** Begins. */
export function begin() {
  latency = new LineChart(byId("latency-chart"), byId("latency-keys"), [
    { label: "p50", color: "one", show: ms, least: 1, fill: true },
    { label: "p95", color: "two", show: ms },
    { label: "p99", color: "three", show: ms },
  ]);
  calls = new LineChart(byId("rate-chart"), byId("rate-keys"), [
    { label: "calls", color: "one", show: rate, least: 1, fill: true },
    { label: "errors", color: "three", show: rate },
  ]);
}

function tile(id, name) {
  const tile = h("div", { class: "card tile" }, h("h3", {}, name), h("div", { class: "value" }), h("div", { class: "note" }));
  tile.id = id;
  return tile;
}

function fill(id, name, value, note, state = null) {
  const found = byId(id) ?? byId("tiles").appendChild(tile(id, name));
  setText(found.children[1], value);
  // Lines break between figures, not within them.
  setText(found.children[2], note.split(" · ").map((part) => part.replaceAll(" ", "\u00a0")).join(" · "));
  setAttributes(found, { "data-state": state });
}

/** Shows a status; `windowName` is minute, hour or day. */
export function update(status, series, windowName) {
  const { grade, process } = status;
  const all = status.all[windowName];
  setText(byId("version"), status.version);
  setText(byId("grade"), grade.letter ?? "–");
  setAttributes(byId("grade"), { "aria-label": grade.letter ? `Grade ${grade.letter}` : "No grade yet" });
  setAttributes(byId("grade-card"), { "data-grade": grade.letter ?? "" });
  setText(byId("grade-reason"), status.enabled ? grade.reason : "calls are not counted: monitoring.enabled is false");

  fill("tile-calls", "Calls", rate(all.per_second), `${count(all.calls)} in the ${NAMES[windowName]}`);
  fill("tile-latency", "Latency, p95", all.calls ? ms(all.p95_ms) : "–", all.calls ? `p50 ${ms(all.p50_ms)} · p99 ${ms(all.p99_ms)}` : "no calls", all.p95_ms >= 200 ? "bad" : all.p95_ms >= 50 ? "warn" : null);
  const failed = all.calls ? all.errors / all.calls : 0;
  fill("tile-errors", "Errors", all.calls ? percent(failed) : "–", `${count(all.errors)} failed · ${count(all.caller_errors)} refused`, failed >= 0.1 ? "bad" : failed >= 0.05 ? "warn" : null);
  const hits = status.caches.reduce((sum, cache) => sum + cache.hits, 0);
  const lookups = hits + status.caches.reduce((sum, cache) => sum + cache.misses, 0);
  fill("tile-hits", "Cache hits", lookups ? percent(hits / lookups) : "–", `${count(hits)} of ${count(lookups)}`);
  const files = process.open_files === undefined ? "" : `${count(process.open_files)} files · ${count(process.threads)} threads`;
  fill("tile-memory", "Memory", bytes(process.resident_bytes), files);
  const cpu = series.latest("cpu", 1)[0];
  fill("tile-uptime", "Up for", span(status.uptime_ms / 1000), Number.isFinite(cpu) ? `${percent(cpu)} of a processor` : `process ${process.pid}`);

  if (windowName === "minute") {
    history = "";
    latency.update(series.times, ["p50", "p95", "p99"].map((name) => series.column(name)));
    calls.update(series.times, ["calls", "errors"].map((name) => series.column(name)));
  }
}

/** Shows what the server has kept of the last hour or day. */
export function updateHistory(slots) {
  const text = JSON.stringify(slots);
  if (text === history) return;
  history = text;
  const times = slots.map((slot) => slot.at / 1000);
  const column = (name) => slots.map((slot) => (slot.calls ? slot[name] : null));
  latency.update(times, [column("p50_ms"), column("p95_ms"), column("p99_ms")]);
  calls.update(times, [
    slots.map((slot) => slot.per_second),
    slots.map((slot) => (slot.calls ? (slot.errors / slot.calls) * slot.per_second : 0)),
  ]);
}
