#!/usr/bin/env bash
# Runs real MCP clients against the server. MCP_SERVER_BIN is the binary to test.
# Usage: run.sh [PART OF A TEST'S NAME]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/target/client-tools
server=${MCP_SERVER_BIN:-$root/target/debug/mcp-server}
only=${1:-}
client_seconds_max=120
ready_seconds_max=10
exit_seconds_max=10

export LC_ALL=C.UTF-8
export PATH="$tools/node/node_modules/.bin:$PATH"

die() {
    echo "run.sh: $*" >&2
    exit 2
}

[[ -x $server ]] || die "$server is missing: build it, or set MCP_SERVER_BIN"
[[ -f $tools/installed ]] || die "the clients are missing: run tests/clients/setup.sh"

work=$(mktemp -d)
server_pid=
passed=0
failed=0

clean_up() {
    if [[ -n $server_pid ]]; then
        kill -KILL "$server_pid" || true
        wait "$server_pid" || true
    fi 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs one test, `check NAME COMMAND…`, and prints what it said when it fails.
check() {
    [[ $1 == *"$only"* ]] || return 0
    local name=$1 started=${EPOCHREALTIME/./} verdict=pass
    if "${@:2}" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        verdict=FAIL
        failed=$((failed + 1))
    fi
    local millis=$(((${EPOCHREALTIME/./} - started) / 1000))
    printf '%s  %-28s %3d.%03d s\n' "$verdict" "$name" $((millis / 1000)) $((millis % 1000))
    [[ $verdict == pass ]] || sed -e '/^ok /d' -e 's/^/      /' "$work/log"
}

start_server() {
    : >"$work/server.log"
    "$server" serve --listen 127.0.0.1:0 --data-dir "$work/serve" 2>"$work/server.log" &
    server_pid=$!
    local deadline=$((SECONDS + ready_seconds_max))
    until url=$(grep -om1 'ready: http://[^ ]*/mcp' "$work/server.log"); do
        if ((SECONDS >= deadline)) || ! kill -0 "$server_pid" 2>/dev/null; then
            cat "$work/server.log" >&2
            die "the server did not become ready"
        fi
        sleep 0.05
    done
    url=${url#ready: }
}

# client CLIENT ERA TARGET…
client() {
    case $1 in
        python) timeout "$client_seconds_max" "$tools/python/bin/python" "$here/python_client.py" "${@:2}" ;;
        typescript) timeout "$client_seconds_max" node "$here/typescript_client.mjs" "${@:2}" ;;
        sdk) timeout "$client_seconds_max" node "$here/sdk_legacy_client.mjs" "${@:2}" ;;
        inspector) timeout "$client_seconds_max" "$here/inspector.sh" "${@:2}" ;;
    esac
}

# Checks a client in an era over both transports.
check_client() {
    local stdio=("$server" stdio --client "$1" --data-dir "$work/stdio-$1-$2")
    check "$1 $2 http" client "$1" "$2" "$url"
    check "$1 $2 stdio" client "$1" "$2" "${stdio[@]}"
}

# At the end of its input, a stdio server has answered everything and exits with success.
stdio_end_of_input() {
    local request='{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "run.sh", "version": "1"}}}'
    tr -d '\n' <<<"$request" | sed 's/$/\n/' |
        timeout "$exit_seconds_max" "$server" stdio --client run.sh --data-dir "$work/stdio-end" \
            >"$work/answers" &&
        jq --exit-status --slurp 'length == 1 and .[0].id == 1 and .[0].result != null' "$work/answers"
}

# On SIGTERM, the HTTP server exits in time and with success.
exit_on_sigterm() {
    local status=0
    kill -TERM "$server_pid" || return 1
    timeout "$exit_seconds_max" tail --pid="$server_pid" -s 0.1 -f /dev/null || {
        echo "still running after $exit_seconds_max s"
        return 1
    }
    wait "$server_pid" || status=$?
    server_pid=
    echo "exit status $status"
    return "$status"
}

start_server
for client_and_era in \
    "python auto" "python pinned" "python legacy" \
    "typescript auto" "typescript pinned" \
    "typescript 2025-11-25" "typescript 2025-06-18" "typescript 2025-03-26" \
    "sdk 2025-11-25" "sdk 2025-03-26" \
    "inspector modern" "inspector legacy"; do
    # shellcheck disable=SC2086 # two words
    check_client $client_and_era
done
check "stdio end of input" stdio_end_of_input
check "exit on SIGTERM" exit_on_sigterm

((passed + failed > 0)) || die "no test has '$only' in its name"
[[ $failed == 0 ]] || { echo "the server's last words:" && tail -n 20 "$work/server.log"; }
echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
