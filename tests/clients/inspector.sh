#!/usr/bin/env bash
# Usage: inspector.sh modern|legacy URL | COMMAND [ARG…]
set -euo pipefail

era=$1
target=("${@:2}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH="$here/../../target/client-tools/node/node_modules/.bin:$PATH"

home=$(mktemp -d) # the inspector keeps files in the home directory
trap 'rm -rf "$home"' EXIT
failed=0

inspect() {
    HOME=$home mcp-inspector --cli --protocol-era "$era" --format json --quiet "$@" -- "${target[@]}"
}

call() {
    inspect --method tools/call --tool-name "$1" --tool-args-json "$2"
}

# Prints whether the jq filter $2 holds for the answer $3.
check() {
    if jq --exit-status "$2" <<<"$3" >/dev/null; then
        echo "ok    $1"
    else
        echo "FAIL  $1: $2 does not hold for $3"
        failed=1
    fi
}

# --strict fails when a schema is not portable among clients.
check "tools/list" \
    '[.result.tools[].name] | contains(["memory_add", "memory_search", "memory_get",
        "memory_update", "memory_delete", "memory_batch"])' \
    "$(inspect --method tools/list --strict || true)"

word=crane$RANDOM$RANDOM
added=$(call memory_add "{\"content\": \"The $word needs new bearings.\", \"tags\": [\"repair\"]}" || true)
check "memory_add" '.result.structuredContent.version == 1' "$added"
id=$(jq --raw-output '.result.structuredContent.id' <<<"$added")

found=$(call memory_search "{\"query\": \"$word\", \"tags\": [\"repair\"]}" || true)
check "memory_search" "[.result.structuredContent.memories[].id] == [\"$id\"]" "$found"
check "text equals structured content" \
    '.result | .structuredContent == (.content[0].text | fromjson)' "$found"
check "_meta" \
    '.result._meta | (.response_time_ms | type == "number") and (.cached | type == "boolean")
        and .["io.modelcontextprotocol/serverInfo"].name == "mcp-server"' "$found"

refused=$(call memory_get '{"id": "no-such-memory"}' 2>/dev/null) && status=0 || status=$?
check "a failed tool is an error" ".result.isError and $status == 5" "$refused"

exit "$failed"
