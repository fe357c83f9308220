//! Benchmarks of the workspace; each one is a file in `benches/`.
