// The calls that took too long.

import { byId, bytes, empty, h, keep, ms, setText, time } from "../dom.js";

/** Rows that are shown. */
const ROWS = 25;

/** Shows a status. */
export function update(status) {
  const { latest, threshold_ms: threshold } = status.slow;
  keep(
    byId("slow-rows"),
    latest.slice(0, ROWS),
    (slow) => `${slow.began_at} ${slow.operation} ${slow.duration_ms}`,
    (slow) =>
      h("tr", {},
        h("td", {}, time(slow.began_at)),
        h("td", { class: "name" }, slow.operation),
        h("td", {}, slow.lane),
        h("td", { class: "n" }, ms(slow.duration_ms)),
        h("td", { class: "n" }, bytes(slow.request_bytes)),
        h("td", { class: "n" }, bytes(slow.response_bytes)),
        h("td", {}, h("span", { class: "chip", "data-state": slow.outcome === "ok" ? "good" : "bad" }, slow.outcome))),
    () => {},
  );
  const none = byId("slow-empty");
  if (latest.length) none.replaceChildren();
  else {
    if (!none.firstElementChild) none.replaceChildren(empty(""));
    setText(none.firstElementChild, `No call has taken longer than ${ms(threshold)} lately.`);
  }
}
