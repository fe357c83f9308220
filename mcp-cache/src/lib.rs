#![doc = include_str!("../README.md")]

mod adaptive;
mod epoch;
mod error;
mod flight;
mod random;
mod store;
mod sync;

pub use adaptive::AdaptiveConfig;
pub use epoch::{Epochs, Tag, Ticket};
pub use error::ConfigError;
pub use store::{Bounds, FOREVER_MS, Hit, Inserted, Lookup, Origin, Put, Store, StoreStats, Swept};
