//! Everything through the public API, one module per behaviour.

mod support;

mod cancellation;
mod config;
mod deadlines;
mod events;
mod flights;
mod foreign_code;
mod freshness;
#[cfg(feature = "history")]
mod history;
mod invalidation;
mod model;
#[cfg(feature = "redis")]
mod redis;
mod remote;
mod statistics;
mod store_model;
mod store_rules;
mod store_threads;
#[cfg(feature = "tower")]
mod tower;
mod writes;
