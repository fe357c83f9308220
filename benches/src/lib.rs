//! What the benchmarks share: rivals side by side, a lean MCP client, made-up texts, percentiles.

pub mod client;
pub mod corpus;
pub mod latency;
pub mod rivals;
