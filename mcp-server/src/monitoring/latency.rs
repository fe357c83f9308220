//! Durations by their size, in decimal steps: counted while calls go on, and read as a whole.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Steps of one decade, as multiples of a hundredth of where it begins. No step is wider than a
/// sixth of what is in it.
const STEPS: [u64; 20] = [
    100, 112, 125, 140, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500, 575, 650, 700, 800,
    900,
];
const DECADES: usize = 8;
/// Buckets with an upper bound; one more holds what is longer than all of them.
pub(super) const BOUNDS_LEN: usize = STEPS.len() * DECADES;
/// All buckets.
pub(super) const BUCKETS: usize = BOUNDS_LEN + 1;

/// The upper bounds in nanoseconds, from 1 µs to 90 s. Every target and threshold that is a round
/// number (50, 100, 150, 200 ms) is one of them, so that it is judged exactly.
pub(super) const BOUNDS_NANOS: [u64; BOUNDS_LEN] = {
    let mut bounds = [0; BOUNDS_LEN];
    let mut decade_nanos = 10;
    let mut at = 0;
    while at < BOUNDS_LEN {
        bounds[at] = decade_nanos * STEPS[at % STEPS.len()];
        at += 1;
        if at % STEPS.len() == 0 {
            decade_nanos *= 10;
        }
    }
    bounds
};

/// The first bucket whose bound is not below `nanos`.
pub(super) fn bucket(nanos: u64) -> usize {
    BOUNDS_NANOS.partition_point(|bound| *bound < nanos)
}

/// How a call ended, as far as the server is judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Done,
    /// With an error that is the caller's: its arguments were wrong, or there was nothing there.
    Refused,
    /// With an error of the server, or of something that it depends on.
    Failed,
}

/// Durations counted by many threads at once, since the start.
#[derive(Debug)]
pub(super) struct Live {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
    /// The longest since it was last taken.
    max_nanos: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_nanos: AtomicU64::new(0),
            max_nanos: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) fn record(&self, duration: Duration, outcome: Outcome) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        // Seldom true: as a rule a read of a line that nobody writes.
        if nanos > self.max_nanos.load(Ordering::Relaxed) {
            self.max_nanos.fetch_max(nanos, Ordering::Relaxed);
        }
        match outcome {
            Outcome::Done => return,
            Outcome::Refused => &self.refused,
            Outcome::Failed => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    /// All that was counted. The longest is that since the last time it was taken.
    pub(super) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            buckets: std::array::from_fn(|at| read(&self.buckets[at])),
            sum_nanos: read(&self.sum_nanos),
            max_nanos: read(&self.max_nanos),
            refused: read(&self.refused),
            failed: read(&self.failed),
        }
    }

    /// The same, and begins a new longest.
    pub(super) fn take(&self) -> Counts {
        let max_nanos = self.max_nanos.swap(0, Ordering::Relaxed);
        Counts {
            max_nanos,
            ..self.read()
        }
    }
}

/// Durations of some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    pub(super) buckets: [u64; BUCKETS],
    pub(super) sum_nanos: u64,
    pub(super) max_nanos: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            sum_nanos: 0,
            max_nanos: 0,
            refused: 0,
            failed: 0,
        }
    }
}

impl Counts {
    /// How many calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many of them failed by the server's fault.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The failed ones as a share of all, 0 to 1.
    #[must_use]
    pub fn failed_share(&self) -> f64 {
        share(self.failed, self.calls())
    }

    /// The average; zero where there was no call.
    #[must_use]
    pub fn mean(&self) -> Duration {
        match self.calls() {
            0 => Duration::ZERO,
            calls => Duration::from_nanos(self.sum_nanos / calls),
        }
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_nanos)
    }

    /// What `share` (0 to 1) of the calls did not exceed, within a bucket by its share; zero where
    /// there was no call.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let calls = self.calls();
        if calls == 0 {
            return Duration::ZERO;
        }
        let rank = (share.clamp(0.0, 1.0) * calls as f64).max(f64::MIN_POSITIVE);
        let mut below = 0.0;
        for (at, count) in self.buckets.iter().enumerate() {
            let count = *count as f64;
            if count > 0.0 && below + count >= rank {
                let Some(upper) = BOUNDS_NANOS.get(at) else {
                    return self.max();
                };
                let lower = at.checked_sub(1).map_or(0, |before| BOUNDS_NANOS[before]);
                let width = (upper - lower) as f64;
                let within = lower as f64 + width * (rank - below) / count;
                let found = Duration::from_nanos(nanos(within));
                return match self.max_nanos {
                    0 => found,
                    _ => found.min(self.max()),
                };
            }
            below += count;
        }
        self.max()
    }

    /// How many took no longer than `limit`, which should be one of the bounds.
    #[must_use]
    pub fn within(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let buckets = BOUNDS_NANOS.partition_point(|bound| *bound <= limit);
        self.buckets[..buckets].iter().sum()
    }

    /// The mean of the natural logarithms of the durations in milliseconds; `None` without a call.
    /// Unlike the mean it is not led by the longest few.
    #[must_use]
    pub fn mean_ln_ms(&self) -> Option<f64> {
        let calls = self.calls();
        let ln = |(at, count): (usize, &u64)| {
            let upper = BOUNDS_NANOS.get(at).copied().unwrap_or(100_000_000_000);
            let lower = at.checked_sub(1).map_or(upper / 2, |at| BOUNDS_NANOS[at]);
            let middle = ((lower as f64).ln() + (upper as f64).ln()) / 2.0;
            (middle - 1e6_f64.ln()) * *count as f64
        };
        let sum: f64 = self.buckets.iter().enumerate().map(ln).sum();
        (calls > 0).then(|| sum / calls as f64)
    }

    /// Counts all of `other`, too.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum_nanos += other.sum_nanos;
        self.max_nanos = self.max_nanos.max(other.max_nanos);
        self.refused += other.refused;
        self.failed += other.failed;
    }

    /// What was counted since `before`; the longest is this one's.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            buckets: std::array::from_fn(|at| self.buckets[at] - before.buckets[at]),
            sum_nanos: self.sum_nanos - before.sum_nanos,
            max_nanos: self.max_nanos,
            refused: self.refused - before.refused,
            failed: self.failed - before.failed,
        }
    }
}

/// `part` of `all`, 0 to 1; 0 of nothing.
pub(super) fn share(part: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        _ => part as f64 / all as f64,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between two bounds, which are whole and positive"
)]
fn nanos(within: f64) -> u64 {
    within as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Counts {
        let live = Live::new();
        for millis in millis {
            live.record(Duration::from_millis(millis), Outcome::Done);
        }
        live.take()
    }

    #[test]
    fn bounds_grow_by_a_sixth_at_most_and_hold_the_round_numbers() {
        assert!(BOUNDS_NANOS.is_sorted_by(|before, next| before < next));
        for pair in BOUNDS_NANOS.windows(2) {
            assert!(pair[1] * 6 <= pair[0] * 7, "{pair:?}");
        }
        for millis in [1, 5, 50, 100, 150, 200, 500, 1_000, 90_000] {
            assert!(BOUNDS_NANOS.contains(&(millis * 1_000_000)), "{millis}");
        }
        assert_eq!((bucket(0), bucket(1_000), bucket(1_001)), (0, 0, 1));
        assert_eq!(bucket(u64::MAX), BOUNDS_LEN);
    }

    #[test]
    fn quantiles_are_near_and_targets_exact() {
        let counts = of(1..=200);
        assert_eq!(counts.calls(), 200);
        assert_eq!(counts.within(Duration::from_millis(50)), 50);
        assert_eq!(counts.within(Duration::from_millis(150)), 150);
        for (share, exact) in [(0.5, 100.0), (0.95, 190.0), (0.99, 198.0), (1.0, 200.0)] {
            let found = counts.quantile(share).as_secs_f64() * 1e3;
            assert!((found / exact - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!(counts.max(), Duration::from_millis(200));
        assert_eq!(counts.mean(), Duration::from_micros(100_500));
    }

    #[test]
    fn nothing_and_what_is_endless_are_said_as_such() {
        let none = Counts::default();
        assert_eq!(
            (none.quantile(0.99), none.mean()),
            (Duration::ZERO, Duration::ZERO)
        );
        assert_eq!(none.mean_ln_ms(), None);
        let endless = of([500_000, 600_000]);
        assert_eq!(endless.quantile(0.5), Duration::from_secs(600));
    }

    #[test]
    fn parts_add_up_and_can_be_taken_apart() {
        let live = Live::new();
        live.record(Duration::from_millis(3), Outcome::Failed);
        let first = live.take();
        live.record(Duration::from_millis(2), Outcome::Refused);
        let all = live.take();
        let second = all.since(&first);
        assert_eq!((second.calls(), second.failed, second.refused), (1, 0, 1));
        assert_eq!(second.max(), Duration::from_millis(2));
        let mut sum = first;
        sum.add(&second);
        assert_eq!((sum.calls(), sum.failed, sum.sum_nanos), (2, 1, 5_000_000));
    }

    #[test]
    fn the_mean_of_logarithms_is_that_of_the_durations() {
        let counts = of([10; 100]);
        // A bucket is at most a sixth wide.
        assert!((counts.mean_ln_ms().unwrap() - 10.0_f64.ln()).abs() < 0.08);
        let doubled = of([20; 100]);
        let grown = doubled.mean_ln_ms().unwrap() - counts.mean_ln_ms().unwrap();
        assert!((grown - 2.0_f64.ln()).abs() < 0.03, "{grown}");
    }
}
