//! The processor through its public interface; modules by behaviour.

mod support;

mod cancellation;
mod capacity;
mod config;
mod failures;
mod flush;
mod lanes;
mod lists;
mod model;
mod panics;
mod seen;
mod shutdown;
mod starts;
#[cfg(feature = "tower")]
mod tower;
