// The ways to the server: the status as it changes, calls of tools, actions.

const BASE = new URL(".", document.baseURI);
const REVISION = "2026-07-28";
const TOKEN_KEY = "mcp-server.token";
/** Longer pauses than this are not made between attempts to reach the server. */
const PAUSE_MS_MAX = 15_000;

/** What the server refused, with its status. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The token, which is kept in this tab only; an empty one is none. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY) ?? "",
  set(value) {
    if (value) sessionStorage.setItem(TOKEN_KEY, value);
    else sessionStorage.removeItem(TOKEN_KEY);
  },
};

function headers(more = {}) {
  const shown = token.get();
  return shown ? { ...more, Authorization: `Bearer ${shown}` } : more;
}

/** Where the server is, as clients have to know it. */
export function address(path) {
  return new URL(path, BASE).href;
}

async function fetched(path, options) {
  const response = await fetch(new URL(path, BASE), {
    ...options,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  if (!response.ok) throw new Refused(response.status, await reason(response));
  return response;
}

async function reason(response) {
  const text = (await response.text()).slice(0, 2_000);
  try {
    const body = JSON.parse(text);
    return body.error?.message ?? body.message ?? text;
  } catch {
    return text || response.statusText;
  }
}

/** A GET that is answered with JSON. */
export async function get(path) {
  const response = await fetched(path, { headers: headers({ Accept: "application/json" }) });
  return response.json();
}

/** A POST of JSON that is answered with JSON. */
export async function post(path, body) {
  const response = await fetched(path, {
    method: "POST",
    headers: headers({ "Content-Type": "application/json", Accept: "application/json" }),
    body: JSON.stringify(body),
  });
  return response.json();
}

let lastId = 0;

/** Calls a tool, as any MCP client does, and returns its structured result. */
export async function callTool(name, args) {
  lastId += 1;
  const response = await fetched("mcp", {
    method: "POST",
    headers: headers({
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": REVISION,
      "Mcp-Method": "tools/call",
      "Mcp-Name": name,
    }),
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: lastId,
      method: "tools/call",
      params: {
        name,
        arguments: args,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": REVISION,
          "io.modelcontextprotocol/clientCapabilities": {},
          "io.modelcontextprotocol/clientInfo": { name: "dashboard", version: "1" },
        },
      },
    }),
  });
  const { result, error } = await response.json();
  if (error) throw new Refused(200, error.message);
  if (result.isError) throw new Refused(200, result.content?.[0]?.text ?? "the tool failed");
  return { ...result.structuredContent, meta: result._meta };
}

/**
 * Follows the server's events for as long as the page is seen: `on.status` gets each status,
 * `on.state` one of `live`, `waiting` (with the reason), `paused`, `refused` (with the error).
 * An EventSource shows no token, so the stream is read by hand.
 */
export function follow(on) {
  let attempt = 0;
  let current = null;
  let timer = 0;

  async function run() {
    stop();
    const abort = new AbortController();
    current = abort;
    try {
      const response = await fetched("api/events", {
        headers: headers({ Accept: "text/event-stream" }),
        signal: abort.signal,
      });
      on.state("live");
      await read(response.body, (text) => {
        attempt = 0;
        on.status(JSON.parse(text));
      });
      throw new Error("the server ended the stream");
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error.status === 401 || error.status === 403) {
        on.state("refused", error);
        return;
      }
      attempt += 1;
      const pause = Math.min(PAUSE_MS_MAX, 500 * 2 ** attempt) * (0.75 + Math.random() / 2);
      on.state("waiting", error);
      timer = setTimeout(run, pause);
    }
  }

  function stop() {
    clearTimeout(timer);
    current?.abort();
    current = null;
  }

  function look() {
    if (document.hidden) {
      stop();
      on.state("paused");
    } else if (!current) {
      run();
    }
  }

  document.addEventListener("visibilitychange", look);
  look();
  return { again: run };
}

/** Reads a stream of events to its end. */
async function read(body, each) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
      if (data) each(data);
    }
  }
}
