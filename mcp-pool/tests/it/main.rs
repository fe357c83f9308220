//! The pool through its public interface; modules by behaviour.

mod support;

#[cfg(feature = "http")]
mod agent;
mod balance;
mod cancellation;
mod cap;
mod capacity;
mod config;
mod events;
mod fairness;
mod health;
mod lifetime;
mod mission;
mod model;
#[cfg(feature = "process")]
mod process;
mod recovery;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod services;
mod set;
mod shutdown;
mod streams;
mod stress;
#[cfg(feature = "tower")]
mod tower;
