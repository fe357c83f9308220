// What to write into a client's settings, to be copied.

import { address } from "../api.js";
import { byId, setText } from "../dom.js";

const json = (value) => JSON.stringify(value, null, 2);
const HEADER = { Authorization: "Bearer YOUR_TOKEN" };

/** For each client and way: where it goes, and the text. `secret`: whether a token must be shown. */
const FORMS = {
  cursor: {
    http: (url, secret) => ["~/.cursor/mcp.json, or .cursor/mcp.json in a project", json({ mcpServers: { memory: { url, ...(secret && { headers: HEADER }) } } })],
    stdio: () => ["~/.cursor/mcp.json, or .cursor/mcp.json in a project", json({ mcpServers: { memory: { command: "mcp-server", args: ["stdio", "--client", "cursor"] } } })],
  },
  vscode: {
    http: (url, secret) => [".vscode/mcp.json in a workspace, or the command “MCP: Open User Configuration”", json({ servers: { memory: { type: "http", url, ...(secret && { headers: HEADER }) } } })],
    stdio: () => [".vscode/mcp.json in a workspace, or the command “MCP: Open User Configuration”", json({ servers: { memory: { type: "stdio", command: "mcp-server", args: ["stdio", "--client", "vscode"] } } })],
  },
  claude: {
    http: (url, secret) => ["In a terminal, for Claude Code", `claude mcp add --scope user --transport http memory ${url}${secret ? ' \\\n  --header "Authorization: Bearer YOUR_TOKEN"' : ""}`],
    stdio: () => ["claude_desktop_config.json for Claude Desktop; for Claude Code: claude mcp add memory -- mcp-server stdio --client claude", json({ mcpServers: { memory: { command: "mcp-server", args: ["stdio", "--client", "claude"] } } })],
  },
  codex: {
    http: (url, secret) => ["~/.codex/config.toml", `[mcp_servers.memory]\nurl = "${url}"${secret ? '\nbearer_token_env_var = "MCP_SERVER_TOKEN"' : ""}`],
    stdio: () => ["~/.codex/config.toml", '[mcp_servers.memory]\ncommand = "mcp-server"\nargs = ["stdio", "--client", "codex"]'],
  },
};

let secret = false;

function chosen(name) {
  return document.querySelector(`input[name="${name}"]:checked`).value;
}

function show() {
  const client = chosen("client");
  // A path of its own says what kind of client it is, and so in which lane its calls are.
  const path = client === "cursor" || client === "vscode" ? `mcp/${client}` : "mcp";
  const [where, text] = FORMS[client][chosen("way")](address(path), secret);
  setText(byId("setup-where"), where);
  setText(byId("setup-text"), text);
  setText(byId("setup-says"), secret && chosen("way") === "http" ? "Put a token in place of YOUR_TOKEN: mcp-server token add NAME" : "");
}

/** Begins. */
export function begin() {
  for (const id of ["setup-client", "setup-way"]) byId(id).addEventListener("change", show);
  byId("setup-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId("setup-text").textContent);
      setText(byId("setup-says"), "Copied.");
    } catch {
      // Without a secure context there is no clipboard.
      getSelection().selectAllChildren(byId("setup-text"));
      setText(byId("setup-says"), "Selected: copy it with Ctrl+C.");
    }
  });
  show();
}

/** Whether clients must show a token. */
export function access(found) {
  secret = found ? found.token_required : true;
  show();
}
