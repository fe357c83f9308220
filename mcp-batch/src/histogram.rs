//! Counts by size, in fixed buckets.

use serde::Serialize;
use std::time::Duration;

/// Buckets of a histogram.
const BUCKETS: usize = 32;

/// How often what was seen: bucket `i` counts what is at most 2^i and above
/// 2^(i-1); the last one all that is larger. Sizes are items; durations are
/// microseconds, rounded up. Fixed buckets, so that histograms of several
/// processes can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: u64,
}

impl Histogram {
    /// The upper bound of each bucket and how much it counts; the last bound is
    /// [`u64::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bound = |i| {
            if i + 1 == BUCKETS {
                u64::MAX
            } else {
                1_u64 << i
            }
        };
        (0..BUCKETS).map(move |i| (bound(i), self.counts[i]))
    }

    /// All that was counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all that was counted, in items or microseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The bound of the bucket that holds the quantile `q` of 0 to 1; 0 if
    /// nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = q.clamp(0.0, 1.0) * self.count() as f64;
        let mut below = 0;
        let found = self.buckets().find(|(_, count)| {
            below += count;
            *count > 0 && below as f64 >= rank
        });
        found.map_or(0, |(bound, _)| bound)
    }

    pub(crate) fn add(&mut self, value: u64) {
        // The bits of value - 1: 0 for up to 1, 1 for 2, 2 for 3 and 4.
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        self.counts[(bits as usize).min(BUCKETS - 1)] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    pub(crate) fn add_time(&mut self, time: Duration) {
        let us = time.as_nanos().div_ceil(1_000);
        self.add(u64::try_from(us).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_powers_of_two() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, 5, 1 << 30, (1 << 30) + 1] {
            histogram.add(value);
        }
        let counts: Vec<_> = histogram
            .buckets()
            .filter(|(_, count)| *count > 0)
            .collect();
        let expect = [(1, 2), (2, 1), (4, 2), (8, 1), (1 << 30, 1), (u64::MAX, 1)];
        assert_eq!(counts, expect);
        assert_eq!((histogram.count(), histogram.sum()), (8, 16 + (1 << 31)));
        assert_eq!(histogram.quantile(0.0), 1);
        assert_eq!(histogram.quantile(0.5), 4);
        assert_eq!(histogram.quantile(1.0), u64::MAX);
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }

    #[test]
    fn times_are_microseconds_rounded_up() {
        let mut histogram = Histogram::default();
        for time in [Duration::ZERO, Duration::from_nanos(1_001), Duration::MAX] {
            histogram.add_time(time);
        }
        let counts: Vec<_> = histogram
            .buckets()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counts, [(1, 1), (2, 1), (u64::MAX, 1)]);
    }

    proptest! {
        #[test]
        fn each_value_is_in_its_bucket(value: u64) {
            let mut histogram = Histogram::default();
            histogram.add(value);
            let (bound, _) = histogram.buckets().find(|(_, count)| *count == 1).expect("one");
            prop_assert!(value <= bound);
            prop_assert!(bound == 1 || bound == u64::MAX || value > bound / 2);
        }
    }
}
