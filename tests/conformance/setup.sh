#!/usr/bin/env bash
# Installs the conformance suites, and the Node that they need, into the target
# folder. Does nothing for what is there already.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/target/conformance-tools

# install FOLDER PACKAGE VERSION
install() {
    local folder=$tools/$1 package=$2 version=$3
    local installed=$folder/node_modules/$package/package.json
    if [[ -f $installed ]] && grep -q "\"version\": \"$version\"" "$installed"; then
        return
    fi
    echo "installing $package@$version" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    # A manifest of its own, or npm climbs up to one outside of this folder. No
    # lock file: what is used is pinned below.
    echo '{ "private": true }' >"$folder/package.json"
    npm install --prefix "$folder" --save-exact --no-package-lock --no-audit --no-fund \
        --loglevel=error "$package@$version" >&2
}

# Some versions of npm run no install scripts unasked, and the package "node"
# fetches its binary, another npm package, in one.
place_node() {
    local node=$tools/node/node_modules/node
    if ! [[ -x $node/bin/node ]]; then
        (cd "$node" && npm run --silent preinstall >&2)
    fi
    "$node/bin/node" --version >/dev/null
}

install node node 22.23.3
place_node
install draft @modelcontextprotocol/conformance 0.2.0-alpha.12
install stable @modelcontextprotocol/conformance 0.1.16
