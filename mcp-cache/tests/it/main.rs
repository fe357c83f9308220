//! Everything through the public API, one module per behaviour.

mod store_model;
mod store_rules;
mod store_threads;
