//! How long it takes to ask connectors for their tools.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Serialize;

/// The upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The histogram `mcp_connector_sync_duration_seconds`.
#[derive(Debug, Default)]
pub struct SyncDurations {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SyncSnapshot {
    /// The upper bound of each bucket in seconds, and how many were within it, those of the buckets
    /// before it included.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long they took together.
    pub sum_seconds: f64,
}

impl SyncDurations {
    /// The name under which it is exposed.
    pub const NAME: &'static str = "mcp_connector_sync_duration_seconds";

    /// Adds one.
    pub fn record(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was added so far.
    #[must_use]
    pub fn snapshot(&self) -> SyncSnapshot {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bucket, held) in self.buckets.iter().enumerate() {
            count += held.load(Ordering::Relaxed);
            if let Some(bound) = BOUNDS.get(bucket) {
                buckets.push((*bound, count));
            }
        }
        let sum = Duration::from_micros(self.sum_micros.load(Ordering::Relaxed));
        SyncSnapshot {
            buckets,
            count,
            sum_seconds: sum.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_those_before_them() {
        let durations = SyncDurations::default();
        for millis in [1, 5, 30, 60_000] {
            durations.record(Duration::from_millis(millis));
        }
        let snapshot = durations.snapshot();
        assert_eq!((snapshot.count, snapshot.buckets[0]), (4, (0.005, 2)));
        assert_eq!(snapshot.buckets[3], (0.05, 3));
        assert_eq!(snapshot.buckets.last(), Some(&(30.0, 3)));
        assert!((snapshot.sum_seconds - 60.036).abs() < 1e-9);
    }
}
