# Shorthands for the commands in CONTRIBUTING.md; `just` lists them.

default:
    @just --list

# Serve from a release build; arguments follow: `just serve --listen 127.0.0.1:0`
serve *arguments:
    cargo run --release -p mcp-server -- serve {{arguments}}

# The test command of the README
test:
    cargo test --workspace

# Format, lint, build the documentation
check:
    bash .ci/run check

# Everything that must hold before a change lands, or single stages of it: `just ci conformance`
ci *stages:
    bash .ci/run {{stages}}

# Benchmarks: `just bench search`
bench name:
    cargo bench -p benches --bench {{name}}

# The small binary that is given away
dist:
    cargo build --profile dist --locked -p mcp-server

# The pages of docs/ that are generated from the code, written anew
docs-accept:
    MCP_ACCEPT_DOCS=1 cargo test -p mcp-server --test it docs::

# Growth over hours: `just soak --duration 8h`
soak *arguments:
    bash scripts/memory_leak_test.sh {{arguments}}

# kill -9, a hang, clients that leave, a full disk
faults *arguments:
    python3 scripts/fault_driver.py {{arguments}}
