//! What the benchmarks share: a lean MCP client, made-up texts, and percentiles.

pub mod client;
pub mod corpus;
pub mod latency;
