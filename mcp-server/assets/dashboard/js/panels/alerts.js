// What is not as it should be, and what was not.

import { ago, byId, count, empty, h, keep, setAttributes, setText, span, time } from "../dom.js";

const STATE = { critical: "bad", warning: "warn" };

function row(alert) {
  return h("div", { class: "alert" }, h("span", { class: "chip" }), h("span"), h("span", { class: "muted" }));
}

function fill(element, alert) {
  const [severity, message, when] = element.children;
  setText(severity, alert.severity);
  setAttributes(severity, { "data-state": STATE[alert.severity] });
  setText(message, alert.message.includes(alert.subject) ? alert.message : `${alert.subject}: ${alert.message}`);
  const lasted = (Date.parse(alert.resolved_at) - Date.parse(alert.since)) / 1000;
  setText(when, alert.resolved_at ? `${time(alert.since)}, for ${span(lasted)}` : `since ${time(alert.since)} (${ago(alert.since)})`);
}

/** Shows a status. */
export function update(status) {
  const { active, history } = status.alerts;
  const badge = byId("alerts-count");
  setText(badge, count(active.length));
  const worst = active.some((alert) => alert.severity === "critical") ? "bad" : active.length ? "warn" : null;
  setAttributes(badge, { "data-state": worst });
  document.title = active.length ? `(${active.length}) mcp-server` : "mcp-server";
  show(byId("alerts-active"), active, "Nothing is wrong: latency, errors, pools, memory, streams and dependencies are within their bounds.");
  show(byId("alerts-history"), history, "No alert since the start.");
}

function show(parent, alerts, none) {
  if (alerts.length) keep(parent, alerts, (alert) => alert.id, row, fill);
  else if (!parent.querySelector(".empty")) parent.replaceChildren(empty(none));
}
