//! Everything through the public API, one module per behaviour.

#[cfg(feature = "history")]
mod history;
mod store_model;
mod store_rules;
mod store_threads;
