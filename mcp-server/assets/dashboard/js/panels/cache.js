// Caches, tier by tier and tag by tag, and what clears them.

import { post } from "../api.js";
import { byId, bytes, count, empty, h, keep, percent, setAttributes, setText } from "../dom.js";
import { admin } from "../token.js";

const NAMES = { memory: "Memories and searches", contexts: "Contexts", connector_lists: "Lists of connectors", connector_results: "Results of connectors" };

function tier() {
  const figure = (name) => [h("dt", {}, name), h("dd")];
  return h(
    "div",
    { class: "tier" },
    h("header", {}, h("h3"), h("span", { class: "share" })),
    h("meter", { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1 }),
    h("dl", {}, ["hits", "misses", "entries", "size", "evicted", "expired", "cleared", "failed loads"].flatMap(figure)),
  );
}

function fill(element, cache) {
  const [header, meter, list] = element.children;
  setText(header.children[0], `${NAMES[cache.name] ?? cache.name} · ${cache.tier.toUpperCase()}`);
  const asked = cache.hits + cache.misses > 0;
  setText(header.children[1], asked ? percent(cache.hit_share) : "–");
  setAttributes(meter, { value: cache.hit_share, "aria-label": `Hits of ${cache.name}` });
  const figures = [cache.hits, cache.misses, cache.entries, null, cache.evictions, cache.expired, cache.invalidations, cache.errors];
  figures.forEach((figure, at) => setText(list.children[2 * at + 1], figure === null ? bytes(cache.bytes) : count(figure)));
}

/** Shows a status. */
export function update(status) {
  const tiers = byId("cache-tiers");
  if (status.caches.length) keep(tiers, status.caches, (cache) => `${cache.name} ${cache.tier}`, tier, fill);
  else if (!tiers.querySelector(".empty")) tiers.replaceChildren(empty("No cache is in use: safe mode, or memory.cache.enabled is false."));

  const tags = status.caches.flatMap((cache) => cache.tags.map((tag) => ({ ...tag, cache: cache.name })));
  tags.sort((one, other) => other.inserts - one.inserts);
  keep(
    byId("cache-tags"),
    tags.slice(0, 50),
    (tag) => `${tag.cache} ${tag.tag}`,
    (tag) =>
      h("tr", {}, h("td", { class: "name" }, tag.tag), h("td", {}, tag.cache), h("td", { class: "n" }), h("td", { class: "n" }),
        h("td", { class: "n" }, h("button", { type: "button", class: "danger small", "aria-label": `Clear the tag ${tag.tag}`, onclick: () => clear({ tag: tag.tag }) }, "Clear"))),
    (row, tag) => {
      setText(row.children[2], count(tag.inserts));
      setText(row.children[3], count(tag.invalidations));
    },
  );
  const none = byId("cache-tags-empty");
  if (tags.length) none.replaceChildren();
  else if (!none.firstElementChild) none.replaceChildren(empty("No tag yet. Those are counted that a connector's policy gives to the results that are kept."));
}

async function clear(what) {
  const says = byId("cache-says");
  setText(says, "");
  if (!(await admin("Clearing a cache"))) return;
  try {
    const cleared = await post("api/cache/clear", what);
    setText(says, cleared.message);
  } catch (error) {
    setText(says, error.message);
  }
}

/** Begins. */
export function begin() {
  const what = byId("cache-what");
  const which = byId("cache-which");
  what.addEventListener("change", () => {
    which.disabled = what.value === "all";
    which.required = !which.disabled;
    which.placeholder = { pattern: "memory:*", namespace: "default", tag: "memories" }[what.value] ?? "";
  });
  byId("cache-form").addEventListener("submit", (event) => {
    event.preventDefault();
    clear({ [what.value]: what.value === "all" ? true : which.value.trim() });
  });
}
