#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod core;
mod dedup;
mod epochs;
mod error;
mod fit;
mod foreign;
mod histogram;
mod inner;
mod lanes;
mod observer;
mod processor;
mod room;
mod rule;
mod runner;
mod sizer;
mod slot;
mod stats;
mod sync;
mod ticket;
#[cfg(feature = "tower")]
pub mod tower;
mod work;

pub use builder::Builder;
pub use config::{
    BATCH_SIZE_MAX, CONCURRENT_BATCHES_MAX, Config, Overflow, QUEUE_LEN_MAX, WINDOW_MAX,
};
pub use error::{ConfigError, Error};
pub use histogram::Histogram;
pub use observer::{DropReason, Observer};
pub use processor::BatchProcessor;
pub use stats::{BatchRecord, Ending, Stats};
pub use ticket::Ticket;
