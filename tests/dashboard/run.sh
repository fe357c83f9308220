#!/usr/bin/env bash
# Looks at the dashboard with a real browser. MCP_SERVER_BIN is the binary to test.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds_max=240

die() {
    echo "run.sh: $*" >&2
    exit 2
}

export MCP_SERVER_BIN=${MCP_SERVER_BIN:-$root/target/debug/mcp-server}
[[ -x $MCP_SERVER_BIN ]] || die "$MCP_SERVER_BIN is missing: build it, or set MCP_SERVER_BIN"
[[ -f $root/target/dashboard-tools/installed ]] || die "playwright is missing: run tests/dashboard/setup.sh"
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)} ||
    die "chromium is missing: install it (Debian: apt-get install chromium)"
export CHROMIUM
exec timeout --kill-after=10 "$seconds_max" node "$here/dashboard.mjs" "$@"
