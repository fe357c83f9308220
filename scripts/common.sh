# What the scripts share; sourced, not run.
# shellcheck shell=bash

# Sets `server` to the binary to work with, and builds it where there is none.
server_binary() {
    server=${MCP_SERVER_BIN:-target/release/mcp-server}
    if [[ -z ${MCP_SERVER_BIN:-} ]]; then
        cargo build -q --release --locked -p mcp-server
    fi
    [[ -x $server ]] || die "$server is missing"
}

# Runs a measurement and says what came of it: 0 when it was good, 1 when it was not, 2 when there is
# nothing to judge.
verdict() {
    local status=0
    "$@" || status=$?
    case $status in
        0) echo "verdict: PASSED" ;;
        1) echo "verdict: FAILED" ;;
        *) echo "verdict: nothing was measured (status $status)" && status=2 ;;
    esac
    exit "$status"
}

die() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}
