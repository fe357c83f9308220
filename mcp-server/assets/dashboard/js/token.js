// The token that actions need: typed here, kept in this tab.

import { get, token } from "./api.js";
import { byId, setText } from "./dom.js";

const dialog = byId("token-dialog");
const input = byId("token");
const says = byId("token-says");
let changed = () => {};
let waiting = null;

/** Begins; `whenChanged` is called with what the server makes of the token. */
export async function begin(whenChanged) {
  changed = whenChanged;
  byId("token-open").addEventListener("click", () => ask());
  byId("token-cancel").addEventListener("click", () => dialog.close());
  byId("token-forget").addEventListener("click", async () => {
    token.set("");
    input.value = "";
    await look();
    dialog.close();
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    use(input.value.trim());
  });
  dialog.addEventListener("close", () => {
    waiting?.(false);
    waiting = null;
  });
  await look();
}

/** Who this page is to the server; null where it may not know. */
export async function look() {
  try {
    const access = await get("api/access");
    setText(byId("token-open"), access.token ? `${access.scope} · ${access.tenant}` : "Token");
    changed(access);
    return access;
  } catch (error) {
    if (error.status === 401) changed(null);
    return null;
  }
}

/** Asks for a token; true once one is there that the server takes. */
export function ask(why = "Figures are shown without one where the server asks for none. Clearing caches and running benchmarks takes a token with the scope admin.") {
  setText(byId("token-why"), why);
  setText(says, "");
  input.value = token.get();
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    waiting = resolve;
  });
}

/** True when there is a token with the scope admin, after asking for one if need be. */
export async function admin(action) {
  const access = await look();
  if (access?.token && access.scope === "admin") return true;
  const why = access?.token
    ? `${action} takes a token with the scope admin; this one has the scope ${access.scope}.`
    : `${action} takes a token with the scope admin.`;
  return ask(why);
}

async function use(value) {
  const before = token.get();
  token.set(value);
  try {
    const access = await get("api/access");
    if (!access.token) throw new Error("Type a token, or choose Cancel.");
    await look();
    waiting?.(true);
    waiting = null;
    dialog.close();
  } catch (error) {
    token.set(before);
    setText(says, error.status === 401 ? "The server does not know this token, or it was revoked." : error.message);
  }
}
