//! Everything through the public API, one module per behaviour.

mod support;

mod events;
mod flights;
mod freshness;
#[cfg(feature = "history")]
mod history;
mod invalidation;
mod statistics;
mod store_model;
mod store_rules;
mod store_threads;
mod writes;
