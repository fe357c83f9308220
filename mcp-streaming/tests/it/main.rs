//! Streams and sessions through the public interface; modules by behaviour.

mod support;

mod cancellation;
mod capacity;
mod cleanup;
mod config;
mod leaks;
mod model;
mod policies;
mod pressure;
mod resume;
mod sessions;
