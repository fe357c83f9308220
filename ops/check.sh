#!/usr/bin/env bash
# Checks what is here with the real tools: the rules with promtool, the metrics of a server that runs
# with promtool, and that every metric that the rules and the dashboard ask for is there.
#
#   bash ops/check.sh [MCP_SERVER]      the program; target/debug/mcp-server by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

server=${1:-target/debug/mcp-server}
command -v promtool >/dev/null || { printf 'error: promtool is missing: install prometheus\n' >&2; exit 1; }
command -v jq >/dev/null || { printf 'error: jq is missing: install it\n' >&2; exit 1; }

promtool check rules ops/alerts.yml
promtool test rules ops/alerts.test.yml
jq -e '.panels | length > 0' ops/grafana.json >/dev/null

data=$(mktemp -d)
"$server" serve --listen 127.0.0.1:0 --data-dir "$data" 2>"$data/log" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$data"' EXIT
for _ in $(seq 300); do
  address=$(sed -n 's|.*ready: http://\([^/]*\)/mcp.*|\1|p' "$data/log")
  [ -n "$address" ] && break
  kill -0 "$pid" || { cat "$data/log" >&2; exit 1; }
  sleep 0.1
done
curl -sS -o /dev/null -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
  -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: memory_search' \
  --data '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"memory_search","arguments":{"query":"x"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"check","version":"1"}}}}' \
  "http://$address/mcp"
curl -sS "http://$address/metrics" >"$data/metrics"
# What it says of style is no error: the names of a process's metrics are not ours.
promtool check metrics <"$data/metrics"

{ cat ops/alerts.yml; jq -r '.. | .expr? // empty' ops/grafana.json; } |
  grep -oE '\b(mcp|process)_[a-z0-9_]+' | sort -u |
  while read -r name; do
    family=${name%_bucket}; family=${family%_sum}; family=${family%_count}
    grep -q "^# TYPE \($name\|$family\) " "$data/metrics" ||
      { printf 'error: nothing is called %s\n' "$name" >&2; exit 1; }
  done
printf 'rules, dashboard and metrics fit\n'
