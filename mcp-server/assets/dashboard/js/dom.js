// Elements, and figures as text. Nothing here, or anywhere else in the page, writes HTML: what comes
// from the server is always text.

/** Makes an element: h("td", {class: "number"}, "12"). A member `on…` is a listener. */
export function h(tag, members = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element of this id, which the page has. */
export function byId(id) {
  return document.getElementById(id);
}

/** Sets an element's text only where it changes, so that selections and readers are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or removes attributes, only where they change. */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
  }
}

/**
 * Keeps one child of `parent` for each of `items`, found again by `key`: `make` makes one, `update`
 * brings it up to date. Elements stay the same, so that focus and scrolling are kept.
 */
export function keep(parent, items, key, make, update) {
  const known = new Map();
  for (const child of [...parent.children]) {
    const id = child.dataset.key;
    if (id === undefined || known.has(id)) child.remove();
    else known.set(id, child);
  }
  const seen = new Map();
  items.forEach((item, index) => {
    const name = String(key(item));
    const same = seen.get(name) ?? 0;
    seen.set(name, same + 1);
    const id = same ? `${name} #${same}` : name;
    let child = known.get(id);
    known.delete(id);
    if (!child) {
      child = make(item);
      child.dataset.key = id;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  for (const child of known.values()) child.remove();
}

/** Says in place of a list that there is nothing in it, and what would be there. */
export function empty(text) {
  return h("p", { class: "empty" }, text);
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A count: 1,234 or 12.3K. */
export function count(value) {
  if (!Number.isFinite(value)) return "–";
  return value < 100_000 ? WHOLE.format(value) : SHORT.format(value);
}

/** Milliseconds with two digits that mean something. */
export function ms(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0 ms";
  if (value < 0.995) return `${Math.max(1, Math.round(value * 1000))} µs`;
  if (value < 9.95) return `${value.toFixed(1)} ms`;
  if (value < 10_000) return `${WHOLE.format(value)} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}

/** Something per second. */
export function rate(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0/s";
  if (value < 10) return `${value.toFixed(1)}/s`;
  return `${count(value)}/s`;
}

/** A share of one, in per cent. */
export function percent(value) {
  if (!Number.isFinite(value)) return "–";
  const hundred = value * 100;
  if (hundred === 0 || hundred === 100) return `${hundred} %`;
  return `${hundred.toFixed(hundred < 10 || hundred > 99 ? 2 : 1)} %`;
}

/** Bytes in binary units. */
export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? WHOLE.format(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A span of seconds, in its two largest units. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const parts = [];
  let left = Math.max(0, Math.floor(seconds));
  for (const [unit, length] of [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]]) {
    const whole = Math.floor(left / length);
    left -= whole * length;
    if (whole > 0 && parts.length < 2) parts.push(`${whole} ${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.join(" ") || "0 s";
}

/** How long ago a time was, or is to come. */
export function ago(timestamp) {
  const seconds = (Date.now() - Date.parse(timestamp)) / 1000;
  if (!Number.isFinite(seconds)) return "–";
  return seconds < 2 ? "now" : `${span(seconds)} ago`;
}

/** A time of day, of today or with its date. */
export function time(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return "–";
  const isToday = date.toDateString() === new Date().toDateString();
  const clock = date.toLocaleTimeString("en", { hourCycle: "h23" });
  return isToday ? clock : `${date.toLocaleDateString("en", { month: "short", day: "numeric" })}, ${clock}`;
}
