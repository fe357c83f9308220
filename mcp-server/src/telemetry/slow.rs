//! The operations that took too long: the last of them, to be looked at.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::Lane;

/// When an operation is slow, and how many of those are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlowOperationsConfig {
    /// An operation that takes longer is noted and logged. Default 100 ms. Lower values show more,
    /// and write more log.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub threshold: Duration,
    /// How many are kept; the oldest makes room. Default 256, about 100 bytes each.
    pub capacity: NonZeroUsize,
}

impl Default for SlowOperationsConfig {
    fn default() -> Self {
        Self {
            threshold: Duration::from_millis(100),
            capacity: NonZeroUsize::new(256).expect("256 is not zero"),
        }
    }
}

/// An operation that took too long. It says nothing of what was in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct SlowOperation {
    /// The tool.
    pub operation: String,
    /// When it began.
    #[schemars(with = "String")]
    pub began_at: Timestamp,
    /// How long it took.
    #[serde(rename = "duration_ms", serialize_with = "as_millis")]
    #[schemars(with = "f64")]
    pub duration: Duration,
    /// The kind of client that asked.
    pub lane: Lane,
    /// About how large the arguments were, in bytes of JSON.
    pub request_bytes: usize,
    /// About how large the result was, in bytes of JSON; 0 if there was none.
    pub response_bytes: usize,
    /// `ok`, or the code of the error.
    pub outcome: &'static str,
}

impl SlowOperation {
    /// Of `operation`, which has just ended with `outcome`; sizes are 0.
    #[must_use]
    pub fn ended(operation: &str, lane: Lane, duration: Duration, outcome: &'static str) -> Self {
        let ended_at = Timestamp::now();
        Self {
            operation: operation.to_owned(),
            began_at: ended_at.checked_sub(duration).unwrap_or(ended_at),
            duration,
            lane,
            request_bytes: 0,
            response_bytes: 0,
            outcome,
        }
    }
}

/// The last slow operations, in a ring. Only a slow operation takes its lock.
#[derive(Debug)]
pub struct SlowOperations {
    config: SlowOperationsConfig,
    ring: Mutex<VecDeque<SlowOperation>>,
    total: AtomicU64,
}

impl SlowOperations {
    /// An empty ring.
    #[must_use]
    pub fn new(config: &SlowOperationsConfig) -> Self {
        Self {
            config: config.clone(),
            ring: Mutex::new(VecDeque::new()),
            total: AtomicU64::new(0),
        }
    }

    /// From what on an operation is slow.
    #[must_use]
    pub fn threshold(&self) -> Duration {
        self.config.threshold
    }

    /// Whether an operation that took this long is slow.
    #[must_use]
    pub fn is_slow(&self, duration: Duration) -> bool {
        duration > self.config.threshold
    }

    /// Notes a slow operation, and logs it as one line.
    pub fn note(&self, slow: SlowOperation) {
        let SlowOperation {
            operation,
            lane,
            duration,
            request_bytes,
            response_bytes,
            outcome,
            ..
        } = &slow;
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            operation,
            ?lane,
            duration_ms,
            request_bytes,
            response_bytes,
            outcome,
            "slow operation"
        );
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == self.config.capacity.get() {
            ring.pop_front();
        }
        ring.push_back(slow);
    }

    /// The last slow operations, the newest first.
    #[must_use]
    pub fn latest(&self) -> Vec<SlowOperation> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().cloned().collect()
    }

    /// How many there were, those that have made room included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

fn as_millis<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_micros() as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(operation: &str) -> SlowOperation {
        SlowOperation::ended(operation, Lane::Other, Duration::from_secs(2), "ok")
    }

    #[test]
    fn the_oldest_makes_room() {
        let ring = SlowOperations::new(&SlowOperationsConfig {
            capacity: NonZeroUsize::new(2).unwrap(),
            ..SlowOperationsConfig::default()
        });
        for operation in ["first", "second", "third"] {
            ring.note(slow(operation));
        }
        let latest: Vec<_> = ring.latest().into_iter().map(|s| s.operation).collect();
        assert_eq!(latest, ["third", "second"]);
        assert_eq!(ring.total(), 3);
    }

    #[test]
    fn only_what_takes_longer_is_slow() {
        let ring = SlowOperations::new(&SlowOperationsConfig::default());
        assert!(!ring.is_slow(Duration::from_millis(100)));
        assert!(ring.is_slow(Duration::from_millis(101)));
        let ended = slow("a");
        assert!(ended.began_at < Timestamp::now());
    }
}
