//! Streams and sessions through the public interface; modules by behaviour.

mod support;

mod cancellation;
mod capacity;
mod cleanup;
mod config;
mod fairness;
mod leaks;
mod model;
mod policies;
mod pressure;
#[cfg(feature = "redis")]
mod redis;
mod resume;
mod sessions;
#[cfg(feature = "sse")]
mod sse;
mod store;
mod work;
