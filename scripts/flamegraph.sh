#!/usr/bin/env bash
# Where the server spends its time under load, as a flame graph: perf samples the server while agents
# are at work on it. For Linux; needs perf (Debian: linux-perf), and builds inferno into target/.
#
#   scripts/flamegraph.sh [OUTPUT.svg] [ARGUMENTS OF `mcp-server bench`]
#
# By default target/flamegraph.svg, of the profile agent-loop on 10,000 memories. MCP_SERVER_BIN: a
# binary that is there already, with line tables, as the release profile makes it. Ends with 0 when
# there is a graph in which the server's own functions are seen, 1 when there is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

inferno_version=0.12.8
seconds=10
output=${1:-target/flamegraph.svg}
[[ $# -eq 0 ]] || shift

command -v perf >/dev/null || die "perf is missing (Debian: install linux-perf)"
server_binary
export PATH="$PWD/target/tools/bin:$PATH"
inferno-flamegraph --version 2>/dev/null | grep -qF "$inferno_version" ||
    cargo install -q inferno --version "$inferno_version" --locked --root target/tools

work=$(mktemp -d)
bench=
clean_up() {
    if [[ -n $bench ]]; then kill "$bench" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT

"$server" bench --profile agent-loop --memories 10000 --duration $((seconds * 3)) "$@" \
    >"$work/report.txt" 2>"$work/log.txt" &
bench=$!
# The server is a child of one of the benchmark's threads; one is filled first, another one measured.
until grep -q 'measuring' "$work/log.txt"; do
    kill -0 "$bench" 2>/dev/null || { cat "$work/log.txt" >&2; die "the benchmark ended early"; }
    sleep 0.2
done
child=$(cat "/proc/$bench"/task/*/children | tr ' ' '\n' | grep -m1 .) || die "there is no server"

# cpu-clock works in virtual machines without performance counters, too.
perf record -q -e cpu-clock -F 499 --call-graph dwarf,16384 -p "$child" -o "$work/perf.data" \
    -- sleep "$seconds"
perf script --no-inline -i "$work/perf.data" 2>/dev/null | inferno-collapse-perf >"$work/stacks.txt"
inferno-flamegraph --title "mcp-server, agents at work" <"$work/stacks.txt" >"$output"

samples=$(awk '{ sum += $NF } END { print sum + 0 }' "$work/stacks.txt")
own=$(awk '/mcp_server/ { sum += $NF } END { print sum + 0 }' "$work/stacks.txt")
echo "$output: $samples samples, $own of them below functions of mcp-server"
if ((own > 0)); then
    echo "verdict: PASSED"
else
    echo "verdict: FAILED (no function of the server was seen)"
    exit 1
fi
