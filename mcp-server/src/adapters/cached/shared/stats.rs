//! What sharing has brought.

use std::sync::atomic::{AtomicU64, Ordering};

use mcp_breaker::State;
use serde::Serialize;

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SharedStats {
    /// Answers of Redis that were used.
    pub hits: u64,
    /// Times that it had none.
    pub absent: u64,
    /// Answers that were not used: changed since, too old to tell, or unreadable.
    pub refused: u64,
    /// Answers that were stored there.
    pub stored: u64,
    /// Answers that were not: too many waited, or they were too large, or Redis failed.
    pub dropped: u64,
    /// Calls of Redis that failed or took too long.
    pub failed: u64,
    /// Calls that were not made since it had failed too often.
    pub left_alone: u64,
    /// Whether it is used (`closed`), or left alone (`open`) until one call tries (`half_open`).
    pub breaker: State,
    /// So many of the last changes are known here: an answer that is kept for longer is of no use.
    pub changes_known: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: AtomicU64,
    absent: AtomicU64,
    refused: AtomicU64,
    stored: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    left_alone: AtomicU64,
}

impl Counters {
    /// An answer was there, and used or not.
    pub(super) fn judged(&self, used: bool) {
        let counter = match used {
            true => &self.hits,
            false => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn absent(&self) {
        self.absent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stored(&self, answers: u64) {
        self.stored.fetch_add(answers, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, answers: u64) {
        self.dropped.fetch_add(answers, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left_alone(&self) {
        self.left_alone.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self, breaker: mcp_breaker::Stats, changes_known: u64) -> SharedStats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SharedStats {
            hits: value(&self.hits),
            absent: value(&self.absent),
            refused: value(&self.refused),
            stored: value(&self.stored),
            dropped: value(&self.dropped),
            failed: value(&self.failed),
            left_alone: value(&self.left_alone),
            breaker: breaker.state,
            changes_known,
        }
    }
}
