#!/usr/bin/env bash
# Whether the server grows: agents at work for hours on a store that does not, and a look at the
# server's memory, descriptors, threads and latencies sixty times meanwhile.
#
#   scripts/memory_leak_test.sh [--duration 8h] [--rate CALLS] [ARGUMENTS OF `mcp-server bench`]
#   scripts/memory_leak_test.sh --short        # a minute, with small caches
#
# MCP_SERVER_BIN: a binary that is there already. Ends with 0 when nothing grew, 1 when something
# did, 2 when nothing was measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

arguments=(--duration 8h)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ ${1:-} == --short ]]; then
    shift
    # Whatever is bounded has to be full before the first third is over, and a disk that pauses is not
    # what is looked for.
    cat >"$work/small.yaml" <<'YAML'
memory:
  operation_timeout: 10s
  cache:
    entries_max: 500
    changes_bytes_max: 262144
YAML
    arguments=(--duration 1m --memories 2000 --config "$work/small.yaml")
fi
server_binary
verdict "$server" bench --profile soak --validate "${arguments[@]}" "$@"
