//! Events pushed to whoever keeps histograms and logs.

use crate::BatchRecord;

/// Hears what a processor does, at the moment it does it. Every method is empty
/// by default.
///
/// The methods run on the path of the batch or of the caller, without any lock
/// held, and must not block or panic.
pub trait Observer: Send + Sync {
    /// A batch ended; its items are answered.
    fn on_batch(&self, batch: &BatchRecord) {
        let _ = batch;
    }

    /// An item left without being started.
    fn on_dropped(&self, reason: DropReason) {
        let _ = reason;
    }
}

/// Why an item was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full.
    Overloaded,
    /// It gave its place to a newer item.
    Shed,
    /// Its caller went away, or its deadline passed, while it waited.
    Cancelled,
}
