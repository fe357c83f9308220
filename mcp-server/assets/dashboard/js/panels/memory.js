// Memories, found and read by the tools that agents use, and so only those of this page's tenant.

import { callTool } from "../api.js";
import { ago, byId, count, h, ms, setText } from "../dom.js";

const LIMIT = 50;

function memory(found) {
  const first = found.content.split("\n", 1)[0];
  const about = [
    ["id", found.id],
    ["namespace", found.namespace],
    ["tags", found.tags?.join(", ")],
    ["metadata", Object.keys(found.metadata ?? {}).length ? JSON.stringify(found.metadata) : ""],
    ["version", String(found.version)],
    ["created", `${found.created_at} (${ago(found.created_at)})`],
    ["updated", `${found.updated_at} (${ago(found.updated_at)})`],
    ["expires", found.expires_at ?? ""],
  ];
  const body = h("div");
  const details = h(
    "details",
    {},
    h("summary", {}, h("span", { class: "line" }, first), h("span", { class: "muted" }, `${found.namespace} · ${ago(found.updated_at)}`)),
    body,
  );
  details.addEventListener("toggle", () => details.open && read(found.id, body), { once: true });
  body.append(
    h("pre", {}, found.content),
    h("dl", {}, about.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  );
  return h("li", {}, details);
}

/** A search may be a moment old: what is opened is read anew. */
async function read(id, body) {
  try {
    const now = await callTool("memory_get", { id });
    setText(body.querySelector("pre"), now.content);
  } catch (error) {
    body.prepend(h("p", { class: "muted" }, error.message));
  }
}

async function search(form) {
  const says = byId("memory-says");
  const list = byId("memory-list");
  const namespace = form.elements.namespace.value.trim();
  const tags = form.elements.tags.value.split(/[\s,]+/).filter(Boolean);
  setText(says, "searching");
  try {
    const found = await callTool("memory_search", {
      query: form.elements.query.value,
      limit: LIMIT,
      ...(namespace && { namespace }),
      ...(tags.length && { tags }),
    });
    list.replaceChildren(...found.memories.map(memory));
    const more = found.truncated || found.memories.length === LIMIT ? "the best " : "";
    const how = `${ms(found.meta.response_time_ms)}${found.meta.cached ? ", from the cache" : ""}`;
    const none = "nothing found: other words, or another namespace?";
    setText(says, found.memories.length ? `${more}${count(found.memories.length)} found in ${how}` : none);
  } catch (error) {
    list.replaceChildren();
    setText(says, error.message);
  }
}

/** Begins. */
export function begin() {
  byId("memory-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search(event.target);
  });
}
