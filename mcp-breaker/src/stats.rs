//! Counters pulled as one snapshot.

use crate::{
    State,
    striped::Striped,
    sync::{AtomicU64, Ordering},
    trip::Tally,
};
use serde::Serialize;
use std::time::Duration;

/// A breaker's counters at one moment. They are read one after the other:
/// under load they may differ by calls that were settled meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The state.
    pub state: State,
    /// The number of the current life, modulo 2^29.
    pub generation: u32,
    /// What the window of the current life holds; zeros unless closed.
    pub window: Tally,
    /// Failures since the last success of this life.
    pub consecutive_failures: u32,
    /// Results of closed lives that were not failures, since the start.
    pub successes: u64,
    /// Failures of closed lives, since the start.
    pub failures: u64,
    /// Slow calls of closed lives, failed or not.
    pub slow: u64,
    /// Calls told that the dependency is overloaded.
    pub overloads: u64,
    /// Calls whose result says nothing about the dependency.
    pub ignored: u64,
    /// Permits dropped without a result.
    pub cancelled: u64,
    /// Results of an earlier life; they moved nothing.
    pub stale: u64,
    /// Calls refused because of the state.
    pub rejected: u64,
    /// Calls refused because of the concurrency limit.
    pub limited: u64,
    /// Probes let through.
    pub probes: u64,
    /// Probes that lost their slot to the deadline.
    pub probes_expired: u64,
    /// Times the breaker opened, by itself or by force.
    pub opened: u64,
    /// Times it closed again, by itself or by force.
    pub closed: u64,
    /// Events that subscribers were too slow to read.
    pub events_lost: u64,
    /// Calls in flight; 0 unless a limit is configured.
    pub in_flight: u32,
    /// The concurrency limit at this moment, if one is configured.
    pub limit: Option<u32>,
    /// Time until the first probe, while open.
    pub reopens_in: Option<Duration>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// An open breaker counts refusals at full rate; marked when it opens.
    pub(crate) rejected: Striped,
    pub(crate) failures: Counter,
    pub(crate) slow: Counter,
    pub(crate) overloads: Counter,
    pub(crate) ignored: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) stale: Counter,
    pub(crate) limited: Counter,
    pub(crate) probes: Counter,
    pub(crate) probes_expired: Counter,
    pub(crate) opened: Counter,
    pub(crate) closed: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
