//! Counters of a second tier, pulled as one snapshot.

use crate::stats::Counter;
use serde::Serialize;

/// The counters of a second tier at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemoteStats {
    /// Values that it had and that might be served.
    pub hits: u64,
    /// Keys of which it had none.
    pub misses: u64,
    /// Records that were there and invalidated, or past their time to live.
    pub dead: u64,
    /// Records that were not what had been written.
    pub corrupt: u64,
    /// Records of a later version of this crate, or that its value's type could
    /// not read.
    pub unreadable: u64,
    /// Looks that needed a second round trip to the stamps.
    pub second_trips: u64,
    /// Looks that failed.
    pub errors: u64,
    /// Looks that passed the deadline.
    pub timeouts: u64,
    /// Looks that the guard refused.
    pub refused: u64,
    /// Values that were stored.
    pub writes: u64,
    /// Values that could not be stored, or were too many or too large.
    pub writes_lost: u64,
    /// Invalidations that were numbered.
    pub published: u64,
    /// Attempts at that which failed, and were repeated.
    pub publish_errors: u64,
    /// Invalidations that wait for the store now.
    pub pending: u64,
    /// Times that more waited than could be kept.
    pub overflows: u64,
    /// Messages of other processes that were applied.
    pub heard: u64,
    /// Times that the first tier was emptied because messages were or may have
    /// been missed.
    pub forgotten: u64,
    /// Subscriptions that were begun.
    pub subscriptions: u64,
    /// Times that foreign code (an observer, a guard, a key's decoding) panicked in
    /// what runs in the background, which began anew.
    pub panics: u64,
    /// The number of the last message that was applied; 0 while not connected.
    pub applied: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) dead: Counter,
    pub(crate) corrupt: Counter,
    pub(crate) unreadable: Counter,
    pub(crate) second_trips: Counter,
    pub(crate) errors: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) refused: Counter,
    pub(crate) writes: Counter,
    pub(crate) writes_lost: Counter,
    pub(crate) published: Counter,
    pub(crate) publish_errors: Counter,
    pub(crate) overflows: Counter,
    pub(crate) heard: Counter,
    pub(crate) forgotten: Counter,
    pub(crate) subscriptions: Counter,
    pub(crate) panics: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, pending: u64, applied: u64) -> RemoteStats {
        RemoteStats {
            hits: self.hits.value(),
            misses: self.misses.value(),
            dead: self.dead.value(),
            corrupt: self.corrupt.value(),
            unreadable: self.unreadable.value(),
            second_trips: self.second_trips.value(),
            errors: self.errors.value(),
            timeouts: self.timeouts.value(),
            refused: self.refused.value(),
            writes: self.writes.value(),
            writes_lost: self.writes_lost.value(),
            published: self.published.value(),
            publish_errors: self.publish_errors.value(),
            pending,
            overflows: self.overflows.value(),
            heard: self.heard.value(),
            forgotten: self.forgotten.value(),
            subscriptions: self.subscriptions.value(),
            panics: self.panics.value(),
            applied,
        }
    }
}
