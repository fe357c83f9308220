// Puts the page together: follows the server's status and hands each one to the panels.

import { follow, get } from "./api.js";
import { byId, setAttributes, setText, time } from "./dom.js";
import * as alerts from "./panels/alerts.js";
import * as benchmark from "./panels/benchmark.js";
import * as cache from "./panels/cache.js";
import * as clients from "./panels/clients.js";
import * as memory from "./panels/memory.js";
import * as overview from "./panels/overview.js";
import * as parts from "./panels/parts.js";
import * as setup from "./panels/setup.js";
import * as slow from "./panels/slow.js";
import * as tools from "./panels/tools.js";
import { Series } from "./series.js";
import * as token from "./token.js";

const PANELS = [overview, alerts, tools, cache, parts, slow, clients];
/** How often the kept past is asked for where it is shown. */
const HISTORY_EVERY_MS = 15_000;

const series = new Series();
let status = null;
let before = null;
let historyAt = 0;

function windowName() {
  return document.querySelector('input[name="window"]:checked').value;
}

/** Takes a sample for the lines over time: of what was counted between two statuses where it can. */
function sample(now) {
  const minute = now.all.minute;
  const seconds = before ? (now.uptime_ms - before.uptime_ms) / 1000 : 0;
  // A server that was started anew begins again at nothing.
  const spent = seconds > 0 ? (now.process.cpu_ms - before.process.cpu_ms) / 1000 / seconds : null;
  const between = seconds > 0 ? (name) => Math.max(0, now.all.since_start[name] - before.all.since_start[name]) / seconds : () => null;
  const figures = {
    p50: minute.calls ? minute.p50_ms : null,
    p95: minute.calls ? minute.p95_ms : null,
    p99: minute.calls ? minute.p99_ms : null,
    calls: between("calls"),
    errors: between("errors"),
    cpu: spent,
  };
  for (const tool of tools.byTool(now, "minute")) figures[`p95:${tool.name}`] = tool.calls ? tool.p95_ms : null;
  series.push(Date.parse(now.at) / 1000, figures);
  before = now;
}

function show() {
  if (!status) return;
  const name = windowName();
  for (const panel of PANELS) panel.update(status, series, name);
  if (name !== "minute" && Date.now() - historyAt > HISTORY_EVERY_MS) past(name);
}

async function past(name) {
  historyAt = Date.now();
  try {
    const { slots } = await get(`api/history?window=${name}`);
    if (windowName() === name) overview.updateHistory(slots);
  } catch {
    // The next status says what is wrong.
    historyAt = 0;
  }
}

const SAYS = { live: "live", paused: "paused", waiting: "reconnecting", refused: "token needed" };

function state(name, error) {
  setAttributes(byId("live"), { "data-state": name });
  setText(byId("live-text"), SAYS[name]);
  const trouble = byId("trouble");
  trouble.hidden = name !== "waiting" && name !== "refused";
  trouble.dataset.kind = name === "refused" ? "bad" : "warn";
  // Before the first figures there is nothing to show but how to set a client up.
  setAttributes(document.body, { "data-locked": name === "refused" && !status });
  const last = status ? `The figures below are of ${time(status.at)}. ` : "";
  if (name === "waiting") setText(trouble, `The server does not answer: ${error.message}. ${last}Trying again.`);
  if (name === "refused") setText(trouble, "The server shows its figures only with a token that has the scope read: choose Token above. Make one with `mcp-server token add dashboard --scope admin`.");
}

function markSection() {
  const seen = new Map();
  const links = [...document.querySelectorAll("nav a")];
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) seen.set(entry.target.id, entry.isIntersecting);
    const current = links.find((link) => seen.get(link.hash.slice(1)));
    for (const link of links) setAttributes(link, { "aria-current": link === current ? "true" : null });
  }, { rootMargin: "-20% 0px -60% 0px" });
  for (const link of links) observer.observe(document.querySelector(link.hash));
}

for (const panel of [overview, cache, parts, memory, setup, benchmark]) panel.begin();
byId("window").addEventListener("change", () => {
  historyAt = 0;
  show();
});
markSection();
let last = "";
const following = follow({
  status(now) {
    status = now;
    sample(now);
    show();
  },
  state,
});
await token.begin((access) => {
  setup.access(access);
  const key = JSON.stringify(access);
  if (last && last !== key) following.again();
  last = key;
  if (access) benchmark.look();
});
