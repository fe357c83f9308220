#!/usr/bin/env bash
# Installs what run.sh drives the browser with into target/dashboard-tools. Does nothing when it is
# there in this version. The browser itself is the system's chromium.
set -euo pipefail

playwright="playwright-core@1.65.1" # drives any Chromium; brings none along

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$here/../../target/dashboard-tools
stamp=$tools/installed

if [[ -f $stamp && $(<"$stamp") == "$playwright" ]]; then
    exit 0
fi
command -v npm >/dev/null || { echo "setup.sh: npm is missing" >&2; exit 1; }
mkdir -p "$tools"
echo '{"private": true}' >"$tools/package.json"
npm install --prefix "$tools" --no-save --no-package-lock --no-audit --no-fund --loglevel=error "$playwright"
echo "$playwright" >"$stamp"
