#!/usr/bin/env bash
# Whether the caches do what they promise, under load: 50 agents on 100,000 memories, the same calls
# once more with --safe-mode. More than 90 % of the reads from a cache, none of them stale, 3 times
# the requests, 0.6 of the processor time per request.
#
#   scripts/load_test_cache_performance.sh [--short] [ARGUMENTS OF `mcp-server bench`]
#
# --short: 2,000 memories and three seconds, for a look. MCP_SERVER_BIN: a binary that is there already.
# Ends with 0 when every target was reached, 1 when one was missed, 2 when nothing was measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

arguments=(--compare safe-mode)
if [[ ${1:-} == --short ]]; then
    shift
    arguments+=(--memories 2000 --duration 3)
fi
server_binary
verdict "$server" bench --profile agent-loop --validate "${arguments[@]}" "$@"
