#!/usr/bin/env bash
# Installs the MCP clients that run.sh uses into target/client-tools. Does nothing when they are
# there in these versions. Needs python3 with venv, npm and jq.
set -euo pipefail

python_packages=(mcp==2.3.0)
node_packages=(
    node@22.23.3
    @modelcontextprotocol/client@2.4.0
    @modelcontextprotocol/sdk@1.32.2
    sdk-1.12@npm:@modelcontextprotocol/sdk@1.12.3 # speaks 2025-03-26
    @modelcontextprotocol/inspector@2.12.0
    # Servers, for the gateway to stand in front of.
    @modelcontextprotocol/server-everything@2026.8.31
    @modelcontextprotocol/server-filesystem@2026.8.31
    @modelcontextprotocol/server-memory@2026.8.31
)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$here/../../target/client-tools
stamp=$tools/installed
wanted=$(printf '%s\n' "${python_packages[@]}" "${node_packages[@]}")

if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
    exit 0
fi

for command in python3 npm jq; do
    command -v "$command" >/dev/null || { echo "setup.sh: $command is missing" >&2; exit 1; }
done

rm -rf "$tools/python" "$tools/node" "$stamp"
mkdir -p "$tools/node"

python3 -m venv "$tools/python" || {
    echo "setup.sh: python3 cannot make a venv (Debian: install python3-venv)" >&2
    exit 1
}
"$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check "${python_packages[@]}"

# `node` fetches its binary in an install script, which recent versions of npm run only on request.
cat >"$tools/node/package.json" <<'JSON'
{"private": true, "allowScripts": {"node": true, "@modelcontextprotocol/inspector": false}}
JSON
npm install --prefix "$tools/node" --no-save --no-package-lock --no-audit --no-fund \
    --loglevel=error "${node_packages[@]}"
"$tools/node/node_modules/.bin/node" --version

echo "$wanted" >"$stamp"
