//! What the benchmarks share: rivals side by side, instruction counts, a lean MCP client, made-up texts, percentiles.

pub mod baseline;
pub mod client;
pub mod corpus;
pub mod latency;
pub mod rivals;
