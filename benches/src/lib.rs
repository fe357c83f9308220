//! What the benchmarks share: rivals side by side, instruction counts, percentiles.

pub mod baseline;
pub mod latency;
pub mod rivals;
