#!/usr/bin/env bash
# Runs the public conformance suite against a server of this workspace.
#
#   run.sh everything   the fixture: every check must pass
#   run.sh server       the product: what server-scenarios.txt lists must pass
#   run.sh gateway      the product in front of the fixture: what gateway-scenarios.txt lists
#   run.sh url URL      a fixture that runs elsewhere, say behind a gateway
#
# EVERYTHING_BIN and MCP_SERVER_BIN name binaries to use instead of building.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/target/conformance-tools
node=$tools/node/node_modules/node/bin/node
built=${CARGO_TARGET_DIR:-$root/target}/debug

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

server_pid=
upstream_pid=
data=
# shellcheck disable=SC2317 # Called by the trap.
cleanup() {
    local pid
    for pid in $server_pid $upstream_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [[ -n $data ]]; then
        rm -rf "$data"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start COMMAND...: runs a server, and returns when it answers at $url.
start() {
    "$@" >"$results/server.log" 2>&1 &
    server_pid=$!
    if ! "$node" "$here/wait-ready.mjs" "$url" "$server_pid"; then
        cat "$results/server.log" >&2
        exit 1
    fi
}

start_everything() {
    local binary=${EVERYTHING_BIN:-}
    if [[ -z $binary ]]; then
        (cd "$root" && cargo build --package examples --example everything)
        binary=$built/examples/everything
    fi
    start "$binary" --listen "127.0.0.1:$port"
}

start_server() {
    local binary=${MCP_SERVER_BIN:-}
    if [[ -z $binary ]]; then
        (cd "$root" && cargo build --package mcp-server)
        binary=$built/mcp-server
    fi
    data=$(mktemp -d)
    start "$binary" serve --listen "127.0.0.1:$port" --data-dir "$data"
}

# The fixture, and the product with the fixture as its only connector.
start_gateway() {
    start_everything
    upstream_pid=$server_pid
    data=$(mktemp -d)
    local upstream=$url
    port=$("$node" "$here/free-port.mjs")
    url=http://127.0.0.1:$port/mcp
    local binary=${MCP_SERVER_BIN:-}
    if [[ -z $binary ]]; then
        (cd "$root" && cargo build --package mcp-server)
        binary=$built/mcp-server
    fi
    "$binary" connectors add everything --url "$upstream" --allow-private-address --data-dir "$data"
    # Every list and call waits for the connector once it is there.
    MCP_CONNECTOR_REFRESH_SYNC=true start "$binary" serve --listen "127.0.0.1:$port" --data-dir "$data"
}

failed=0
# suite NAME FOLDER PASSES_MIN ARGUMENTS...: one run, and its verdict. The verdict
# rests on the saved checks: the suite's own exit code knows no minimum, and
# counts failures that server-scenarios.txt allows.
suite() {
    local name=$1 folder=$2 passes_min=$3
    shift 3
    local out=$results/$name
    mkdir -p "$out"
    local program=$tools/$folder/node_modules/@modelcontextprotocol/conformance/dist/index.js
    "$node" "$program" server --url "$url" --output-dir "$out" "$@" >"$out/suite.log" 2>&1 || true
    local verdict=("$what" "$name" "$out")
    if [[ $what == server || $what == gateway ]]; then
        verdict+=(--required "$here/$what-scenarios.txt")
    else
        verdict+=(--passes-min "$passes_min")
    fi
    "$node" "$here/judge.mjs" "${verdict[@]}" || failed=1
}

what=${1:-}
case $what:$# in
everything:1 | server:1 | gateway:1 | url:2) ;;
*) usage ;;
esac

"$here/setup.sh"
results=$root/target/conformance-results/$what
rm -rf "$results"
mkdir -p "$results"
port=$("$node" "$here/free-port.mjs")
url=http://127.0.0.1:$port/mcp
case $what in
everything) start_everything ;;
server) start_server ;;
gateway) start_gateway ;;
url) url=$2 ;;
esac

# The least numbers of passed checks are what a complete fixture reaches: a check
# that is silently skipped shows as a lower number. One more, server-sse-streams-functional,
# only remarks that these servers answer with JSON: event streams are optional there.
suite 2026-07-28 draft 196 --requirements 2026-07-28
suite 2025-11-25 draft 83 --requirements 2025-11-25
suite stable stable 46 --suite all

if [[ $failed != 0 ]]; then
    echo "details: $results" >&2
fi
exit "$failed"
