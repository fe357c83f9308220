#![doc = include_str!("../README.md")]

mod epoch;
mod store;
mod sync;
mod table;

pub use epoch::{Epochs, Tag, Ticket};
pub use store::{Bounds, FOREVER_MS, Hit, Inserted, Lookup, Origin, Put, Store, StoreStats, Swept};
