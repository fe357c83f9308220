//! The store's search index: a [`DiskView`](crate::memory::search::DiskView) of what a background
//! thread has indexed, and in memory what has changed since.
//!
//! The database is the only truth. Triggers note every change of a row in a log; the index says how
//! far it has read that log, and a search first takes up what it has not seen yet. So an
//! acknowledged write is found by the very next search, of whichever process, and an index that is
//! lost, damaged or of another history is made again from the rows.

mod changes;
mod config;
mod indexer;
mod live;
mod lock;
mod progress;

pub use config::IndexConfig;
pub use progress::IndexReadiness;

pub(super) use changes::{head, trim};
pub(super) use indexer::Indexer;
pub(super) use live::LiveIndex;
