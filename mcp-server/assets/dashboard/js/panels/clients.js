// The clients that are connected.

import { ago, byId, count, empty, h, keep, setText, time } from "../dom.js";

const NAMES = { cursor: "Cursor", vscode: "VS Code", other: "other" };
const WAYS = { http: "HTTP session", websocket: "WebSocket", stdio: "stdio" };
/** Rows that are shown. */
const ROWS = 100;

/** Shows a status. */
export function update(status) {
  const clients = status.clients.slice(0, ROWS);
  keep(
    byId("clients-rows"),
    clients,
    (client) => `${client.connection_time} ${client.user_id} ${client.transport}`,
    () => h("tr", {}, h("td"), h("td", { class: "name" }), h("td"), h("td"), h("td", { class: "n" })),
    (row, client) => {
      const [type, tenant, way, since, requests] = row.children;
      setText(type, NAMES[client.client_type] ?? client.client_type);
      setText(tenant, client.user_id);
      setText(way, WAYS[client.transport] ?? client.transport);
      setText(since, `${time(client.connection_time)} (${ago(client.connection_time)})`);
      setText(requests, count(client.request_count));
    },
  );
  const none = byId("clients-empty");
  const more = status.clients.length - clients.length;
  const text = more > 0
    ? `and ${count(more)} more`
    : "No session is open. Clients of revision 2026-07-28 send each request by itself over HTTP: they are counted among the tools, and never connected.";
  if (clients.length && more <= 0) none.replaceChildren();
  else {
    if (!none.firstElementChild) none.replaceChildren(empty(""));
    setText(none.firstElementChild, text);
  }
}
