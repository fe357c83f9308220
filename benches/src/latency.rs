//! Latencies of one run, as percentiles.

use std::{fmt, time::Duration};

/// The latencies of calls that were all answered well, and the time that all of them took.
#[derive(Debug, Clone)]
pub struct Latencies {
    sorted: Vec<Duration>,
    elapsed: Duration,
}

impl Latencies {
    /// The latencies of one run that took `elapsed` in all.
    #[must_use]
    pub fn new(mut calls: Vec<Duration>, elapsed: Duration) -> Self {
        calls.sort_unstable();
        Self {
            sorted: calls,
            elapsed,
        }
    }

    /// The latency that `percent` of the calls did not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1) - 1;
        self.sorted.get(rank).copied().unwrap_or_default()
    }

    /// Calls per second over the whole run.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let calls = u32::try_from(self.sorted.len()).map_or(f64::INFINITY, f64::from);
        calls / self.elapsed.as_secs_f64()
    }
}

/// `p50 p95 p99` in milliseconds, then calls per second.
impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for percent in [50, 95, 99] {
            let ms = self.percentile(percent).as_secs_f64() * 1_000.0;
            write!(f, "{ms:>9.3}")?;
        }
        write!(f, "{:>10.0}", self.rate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_calls() {
        let calls = (1..=200).rev().map(Duration::from_millis).collect();
        let latencies = Latencies::new(calls, Duration::from_secs(2));
        assert_eq!(latencies.percentile(50), Duration::from_millis(100));
        assert_eq!(latencies.percentile(99), Duration::from_millis(198));
        assert_eq!(latencies.percentile(100), Duration::from_millis(200));
        assert!((latencies.rate() - 100.0).abs() < 1e-9);
    }
}
