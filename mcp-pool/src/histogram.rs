//! How long callers waited, in powers of two.

use serde::Serialize;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The first bucket ends here; each next one ends at twice that.
const FIRST_NS: u64 = 1_024;
const BUCKETS: usize = 32;

/// Waits by length: a bucket for each doubling from 1 µs to half an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WaitHistogram {
    counts: [u64; BUCKETS],
    sum_ns: u64,
}

impl WaitHistogram {
    /// Waits counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All waits together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// The upper end of each bucket, and the waits in it. The last bucket also
    /// holds all that is longer.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let ends = (0..BUCKETS).map(|bucket| Duration::from_nanos(FIRST_NS << bucket));
        ends.zip(self.counts)
    }

    /// The end of the bucket that holds the wait below which `percent` of all
    /// waits are; zero if there was none.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Duration {
        let count = self.count();
        let rank = (count * u64::from(percent.min(100))).div_ceil(100);
        let mut below = 0;
        for (end, waits) in self.buckets() {
            below += waits;
            if waits > 0 && below >= rank {
                return end;
            }
        }
        Duration::ZERO
    }
}

/// Counts waits without a lock: each waiter adds its own when it is served.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Waits {
    pub(crate) fn add(&self, waited_ns: u64) {
        let doublings = (waited_ns / FIRST_NS)
            .checked_ilog2()
            .map_or(0, |log| log + 1);
        let bucket = (doublings as usize).min(BUCKETS - 1);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(waited_ns, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> WaitHistogram {
        WaitHistogram {
            counts: std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed)),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_the_bucket_that_ends_above_it() {
        for waited_ns in [0, 1, 1_023, 1_024, 2_047, 2_048, 1_000_000, 30_000_000_000] {
            let waits = Waits::default();
            waits.add(waited_ns);
            let histogram = waits.snapshot();
            let (end, _) = histogram
                .buckets()
                .find(|(_, count)| *count == 1)
                .expect("one");
            let end_ns = u64::try_from(end.as_nanos()).expect("small");
            assert!(waited_ns < end_ns, "{waited_ns} < {end_ns}");
            assert!(
                end_ns == FIRST_NS || waited_ns >= end_ns / 2,
                "{waited_ns} in {end_ns}"
            );
        }
    }

    #[test]
    fn percentiles_are_by_rank() {
        let waits = Waits::default();
        assert_eq!(waits.snapshot().percentile(99), Duration::ZERO);
        (0..99).for_each(|_| waits.add(500));
        waits.add(1_000_000);
        let histogram = waits.snapshot();
        assert_eq!(histogram.percentile(99), Duration::from_nanos(1_024));
        assert_eq!(histogram.percentile(100), Duration::from_nanos(1_048_576));
        assert_eq!(histogram.count(), 100);
    }
}
