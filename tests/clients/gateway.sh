#!/usr/bin/env bash
# Puts the gateway in front of servers that others wrote, and uses them through it with the Python
# client and the inspector. MCP_SERVER_BIN is the binary to test. Needs what setup.sh installs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/target/client-tools
server=${MCP_SERVER_BIN:-$root/target/debug/mcp-server}
client_seconds_max=90
ready_seconds_max=60

export LC_ALL=C.UTF-8
export PATH="$tools/node/node_modules/.bin:$PATH"

die() {
    echo "gateway.sh: $*" >&2
    exit 2
}

[[ -x $server ]] || die "$server is missing: build it, or set MCP_SERVER_BIN"
[[ -f $tools/installed ]] || die "the clients are missing: run tests/clients/setup.sh"

work=$(mktemp -d)
server_pid=
clean_up() {
    if [[ -n $server_pid ]]; then
        kill -TERM "$server_pid" || true
        timeout 20 tail --pid="$server_pid" -s 0.1 -f /dev/null || kill -KILL "$server_pid" || true
        wait "$server_pid" || true
    fi 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

failed=0
check() {
    if "${@:2}" >"$work/log" 2>&1; then
        echo "pass  $1"
    else
        echo "FAIL  $1"
        sed -e '/^ok /d' -e 's/^/      /' "$work/log"
        failed=1
    fi
}

# As a new user would: one command for each server, while none runs.
mkdir "$work/files"
bin=$tools/node/node_modules/.bin
add() {
    "$server" connectors add --data-dir "$work/data" "$@" 2>>"$work/added.log"
}
add everything -- "$bin/mcp-server-everything" stdio
add filesystem -- "$bin/mcp-server-filesystem" "$work/files"
add memory --env "MEMORY_FILE_PATH=$work/memory.jsonl" -- "$bin/mcp-server-memory"
add python -- "$tools/python/bin/python" "$here/upstream.py"

"$server" serve --listen 127.0.0.1:0 --data-dir "$work/data" 2>"$work/server.log" &
server_pid=$!
deadline=$((SECONDS + ready_seconds_max))
until url=$(grep -om1 'ready: http://[^ ]*/mcp' "$work/server.log"); do
    if ((SECONDS >= deadline)) || ! kill -0 "$server_pid" 2>/dev/null; then
        die "not ready: $(cat "$work/server.log")"
    fi
    sleep 0.05
done
url=${url#ready: }

inspect() {
    # The inspector keeps files in the home directory.
    HOME=$work timeout "$client_seconds_max" mcp-inspector --cli --protocol-era "$1" --format json \
        --quiet "${@:2}" -- "$url"
}

# The server is ready before any upstream is: wait for the last one.
until [[ $(inspect modern --method tools/call --tool-name connector_list --tool-args-json '{}' |
    jq '[.result.structuredContent.connectors[].condition == "ready"] | length == 4 and all') == true ]]; do
    ((SECONDS < deadline)) || die "not all upstreams are ready: $(cat "$work/server.log")"
    sleep 0.5
done

# inspector ERA: a list, a call of each kind of answer.
inspector() {
    inspect "$1" --method tools/list |
        jq --exit-status '[.result.tools[].name] | contains(["memory_add", "echo", "read_graph",
            "read_text_file", "python_words"])' || return 1
    inspect "$1" --method tools/call --tool-name python_words --tool-args-json '{"text": "a b a"}' |
        jq --exit-status '.result.structuredContent == {"a": 2, "b": 1}' || return 1
    inspect "$1" --method tools/call --tool-name echo --tool-args-json '{"message": "hello"}' |
        jq --exit-status '.result.content[0].text | contains("hello")'
}

python_client() {
    timeout "$client_seconds_max" "$tools/python/bin/python" "$here/gateway_client.py" "$@"
}

for era in auto legacy; do
    check "gateway, python $era" python_client "$era" "$url" "$work/files"
done
for era in modern legacy; do
    check "gateway, inspector $era" inspector "$era"
done
[[ $failed == 0 ]]
