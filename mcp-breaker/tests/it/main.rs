//! The breaker through its public interface; modules by behaviour.

mod support;

mod cancellation;
mod capacity;
mod config;
mod events;
mod limits;
mod model;
mod policies;
mod recovery;
mod registry;
mod thresholds;
#[cfg(feature = "tower")]
mod tower;
