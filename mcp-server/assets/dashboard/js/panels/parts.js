// What the server is made of and depends on: a table for each kind of part.

import { ago, byId, bytes, count, h, keep, ms, percent, setAttributes, setText, span } from "../dom.js";

/** A word with a colour. */
const chip = (text, state) => ({ text, state });
const UP = { up: "good", degraded: "warn", down: "bad" };
const CLOSED = { closed: "good", half_open: "warn", open: "bad", forced_open: "bad" };
const READY = { ready: "good", starting: "warn", stale: "warn", failed: "bad" };

/** Each card: its columns ("n": figures), its rows out of a status, and what it says without any. */
const CARDS = [
  {
    id: "dependencies", title: "Dependencies", columns: ["Name", "Kind", "State", "Since", "Detail"],
    rows: (status) => status.dependencies.map((it) => [it.name, it.kind, chip(it.state, UP[it.state]), ago(it.since), it.detail]),
    none: "None was asked yet: they are asked every few seconds.",
  },
  {
    id: "connectors", title: "Connectors", columns: ["Name", "State", "Tools:n", "Way", "Server", "List is:n", "Detail"],
    rows: (status) => status.connectors.map((it) => [it.name, chip(it.condition, READY[it.condition]), count(it.tools), it.transport, it.server ?? "–", it.age_ms === undefined ? "–" : `${span(it.age_ms / 1000)} old`, it.error ?? ""]),
    none: "No other server is reached through this one. Add one: mcp-server connectors add NAME --url URL",
  },
  {
    id: "pools", title: "Pools", columns: ["Leads to", "In use:n", "Idle:n", "Most:n", "Waiting:n", "Reused:n", "Wait p95:n", "Failed:n"],
    rows: (status) => status.pools.map((it) => [it.name, count(it.in_use), count(it.idle), count(it.connections_max), count(it.waiting), it.checkouts ? percent(it.reuse_share) : "–", ms(it.wait_p95_ms), count(it.connect_failures + it.timeouts + it.overloaded)]),
    none: "No pool of connections: the embedded store has threads, and no connector speaks HTTP.",
  },
  {
    id: "breakers", title: "Breakers", columns: ["Guards", "State", "Succeeded:n", "Failed:n", "Rejected:n", "Opened:n"],
    rows: (status) => status.breakers.map((it) => [it.name, chip(it.reopens_in_ms === undefined ? it.state.replace("_", " ") : `${it.state.replace("_", " ")}, ${span(it.reopens_in_ms / 1000)}`, CLOSED[it.state]), count(it.successes), count(it.failures), count(it.rejected), count(it.opened)]),
    none: "No breaker is in use: safe mode, or memory.circuit_breaker.enabled is false.",
  },
  {
    id: "batches", title: "Batches", columns: ["Puts together", "Queued:n", "Running:n", "Batches:n", "Items:n", "Mean size:n", "Aim:n", "Wait p95:n", "Run p95:n"],
    rows: (status) => status.batches.map((it) => [it.name, count(it.queued), count(it.running), count(it.batches), count(it.items), it.batches ? it.mean_len.toFixed(1) : "–", count(it.target_len), ms(it.wait_p95_ms), ms(it.run_p95_ms)]),
    none: "Nothing is put together: safe mode, or memory.batch.enabled is false.",
  },
  {
    id: "lanes", title: "Lanes", columns: ["Clients", "At work:n", "Waiting:n", "Admitted:n", "Queued:n", "Refused:n", "Left:n"],
    rows: (status) => status.lanes.map((it) => [it.lane, count(it.in_flight), count(it.waiting), count(it.admitted), count(it.queued), count(it.shed), count(it.abandoned)]),
    none: "There are no lanes in safe mode.",
  },
  {
    id: "streams", title: "Streams and sessions", columns: ["What", "Now:n", "Most:n", "Since the start"],
    rows: ({ streams, sessions }) => [
      ["Sessions", count(sessions.open), "", `${count(sessions.opened)} opened · ${count(sessions.closed)} closed · ${count(sessions.expired)} expired · ${count(sessions.evicted)} made room · ${count(sessions.refused)} refused`],
      ["Streams", count(streams.streams), "", `${count(streams.ended_slow)} ended for slow readers · ${count(streams.ended_idle)} for none`],
      ["Bytes held", bytes(streams.held_bytes), bytes(streams.held_bytes_max), `${bytes(streams.held_bytes_peak)} at the peak · ${bytes(streams.shed_bytes)} given up`],
    ],
    none: "",
  },
  {
    id: "process", title: "Process", columns: ["What", "Now:n", "Most:n", "More"],
    rows: ({ process, http }) => [
      ["Memory", bytes(process.resident_bytes), "", `process ${process.pid}`],
      ["Files and sockets", count(process.open_files), count(process.open_files_max), `${count(http.connections - http.connections_closed)} connections of ${count(http.connections)} since the start`],
      ["Threads and tasks", `${count(process.threads)} / ${count(process.tasks)}`, "", `${span(process.cpu_ms / 1000)} of processor time`],
      ["Refused requests", count(http.unauthorized + http.out_of_scope + http.rate_limited + http.too_deep + http.bodies_too_large), "", `${count(http.unauthorized)} without a token · ${count(http.out_of_scope)} out of scope · ${count(http.rate_limited)} too often · ${count(http.bodies_too_large)} too large`],
    ],
    none: "",
  },
  {
    id: "trends", title: "Trends", columns: ["What", "In an hour:n", "Now:n", "Made of:n", "Verdict"],
    rows: ({ trends, leaks }) => [
      ...trends.map((it) => [it.tool, signed(it.percent_per_hour, "%"), ms(it.typical_ms), `${count(it.minutes)} min`, it.is_drift ? chip(drift(it), "bad") : chip("steady", "good")]),
      ...leaks.map((it) => [it.what.replace("_", " "), it.what.endsWith("bytes") ? signed(it.per_hour / 2 ** 20, "MiB") : signed(it.per_hour, ""), "", `${count(it.minutes)} min`, it.is_leak ? chip("grows", "warn") : chip("steady", "good")]),
    ],
    none: "Too little is known yet: trends are made of the minutes that are kept, an hour of them at least.",
  },
];

/** A figure with its sign. */
function signed(value, unit) {
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)} ${unit}`.trim();
}

/** A tool that gets slower, and when it misses its target. */
function drift(it) {
  const hours = it.target_missed_in_hours;
  return hours === undefined ? "gets slower" : `misses its target in ${span(hours * 3600)}`;
}

/** Begins. */
export function begin() {
  byId("parts-grid").append(
    ...CARDS.map((card) =>
      h("div", { class: "card", id: `part-${card.id}` },
        h("h2", { id: `part-${card.id}-title` }, card.title),
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": `part-${card.id}-title` },
          h("table", {},
            h("thead", {}, h("tr", {}, card.columns.map((column) => h("th", { scope: "col", class: column.endsWith(":n") ? "n" : null }, column.split(":")[0])))),
            h("tbody")),
          h("p", { class: "empty", hidden: true }, card.none)))),
  );
}

/** Shows a status. */
export function update(status) {
  for (const card of CARDS) {
    const [table, none] = byId(`part-${card.id}`).querySelector(".scroll").children;
    const rows = card.rows(status);
    table.hidden = rows.length === 0;
    none.hidden = rows.length > 0;
    keep(table.tBodies[0], rows, (row) => row[0], (row) => make(card, row), (element, row) => {
      row.forEach((value, at) => fill(element.children[at], value));
    });
  }
}

function make(card, row) {
  const kind = (at) => {
    if (at === 0) return card.id === "streams" || card.id === "process" ? null : "name";
    if (card.columns[at].endsWith(":n")) return "n";
    return at === card.columns.length - 1 ? "wrap" : null;
  };
  return h("tr", {}, row.map((value, at) => h("td", { class: kind(at) }, typeof value === "object" ? h("span", { class: "chip" }) : [])));
}

function fill(cell, value) {
  if (typeof value !== "object") {
    setText(cell, value);
    return;
  }
  setText(cell.firstElementChild, value.text);
  setAttributes(cell.firstElementChild, { "data-state": value.state });
}
