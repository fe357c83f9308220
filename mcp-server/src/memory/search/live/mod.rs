//! An index that follows the log of a store: a [`DiskView`](super::DiskView) of what a background
//! thread has indexed, and in memory what has changed since.
//!
//! The store is the only truth. It notes every change of a row in a log; the index says how far it
//! has read that log, and a search first takes up what it has not seen yet. So an acknowledged write
//! is found by the very next search, of whichever process, and an index that is lost, damaged or of
//! another history is made again from the rows.

mod config;
mod indexer;
mod layers;
mod lock;
mod log;
mod priority;
mod progress;

pub use config::IndexConfig;
pub(in crate::memory) use indexer::Indexer;
pub(in crate::memory) use layers::{Layers, LiveIndex};
pub use log::ChangeLog;
pub use progress::IndexReadiness;
