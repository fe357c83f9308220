#![doc = include_str!("../README.md")]

#[cfg(feature = "http")]
pub mod agent;
mod backoff;
mod balance;
mod budget;
mod builder;
mod cap;
mod clock;
mod config;
mod core;
mod error;
mod handoff;
mod histogram;
mod lease;
mod lent;
mod manager;
pub mod managers;
mod observer;
mod pool;
mod queue;
mod random;
mod replicas;
mod set;
mod shared;
mod slot;
mod state;
mod stats;
mod streams;
mod sync;
mod tasks;
#[cfg(feature = "tower")]
pub mod tower;
mod wait;

pub use balance::{Balance, BalanceConfig, Balanced, EndpointStats};
pub use builder::Builder;
pub use config::{CONNECTIONS_MAX, Config, DURATION_MAX};
pub use error::{Cause, ConfigError, Error};
pub use histogram::WaitHistogram;
pub use lease::Lease;
pub use manager::{FromFn, Manager, from_fn};
pub use observer::Observer;
pub use pool::{HealthReport, Pool};
pub use replicas::{Node, Position, Replicas, Replicated, Token};
pub use set::{ClassConfig, Key, OTHER, PoolSet, SetConfig};
pub use stats::{CloseReason, Closes, Stats};
pub use streams::{Stream, Streams};

/// The name under which the pool is looked for.
pub type ConnectionPool<M> = Pool<M>;
/// The name under which the pool's configuration is looked for.
pub type ConnectionPoolConfig = Config;
