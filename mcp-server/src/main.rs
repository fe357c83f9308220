//! The `mcp-server` binary.

fn main() {}
