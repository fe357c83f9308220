//! What a lane has done so far, in numbers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Serialize;

use crate::call::Lane;

/// The bounds of the histogram: the first in microseconds, each further one twice as far.
const FIRST_BOUND_MICROS: u64 = 16;
const BOUNDS: usize = 22;

/// One lane's counters and what it holds at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneStats {
    /// The lane.
    pub lane: Lane,
    /// Calls at work.
    pub in_flight: u32,
    /// Calls that wait for a place.
    pub waiting: usize,
    /// Calls that have been given a place.
    pub admitted: u64,
    /// Calls that had to wait for one.
    pub queued: u64,
    /// Calls that were refused: too many waited, or it waited too long.
    pub shed: u64,
    /// Calls whose caller left before they had a place.
    pub abandoned: u64,
    /// How long calls took, from when they came to when they had done their work.
    pub latency: Histogram,
}

/// Durations by their size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Histogram {
    /// How many were not above a bound, nor below the one before it; the last counts the rest.
    pub counts: Vec<u64>,
    /// All of them together.
    pub sum: Duration,
}

impl Histogram {
    /// The bounds of all counts but the last, which has none.
    pub fn bounds() -> impl Iterator<Item = Duration> {
        (0..BOUNDS).map(|at| Duration::from_micros(FIRST_BOUND_MICROS << at))
    }

    /// How many durations it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The live side of [`LaneStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) admitted: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) shed: AtomicU64,
    pub(super) abandoned: AtomicU64,
    latency: [AtomicU64; BOUNDS + 1],
    latency_micros: AtomicU64,
}

impl Counters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self::count(&self.latency[bucket(micros)]);
        self.latency_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self, lane: Lane, in_flight: u32, waiting: usize) -> LaneStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LaneStats {
            lane,
            in_flight,
            waiting,
            admitted: read(&self.admitted),
            queued: read(&self.queued),
            shed: read(&self.shed),
            abandoned: read(&self.abandoned),
            latency: Histogram {
                counts: self.latency.iter().map(read).collect(),
                sum: Duration::from_micros(read(&self.latency_micros)),
            },
        }
    }
}

/// The first bucket whose bound is not below `micros`.
fn bucket(micros: u64) -> usize {
    let steps = micros.div_ceil(FIRST_BOUND_MICROS).max(1);
    let doublings = steps.next_power_of_two().trailing_zeros() as usize;
    doublings.min(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_below_their_bound() {
        let bounds: Vec<_> = Histogram::bounds().collect();
        let check = |micros: u64| {
            let duration = Duration::from_micros(micros);
            let expect = bounds.iter().position(|bound| duration <= *bound);
            assert_eq!(bucket(micros), expect.unwrap_or(BOUNDS), "{micros}");
        };
        for micros in [0, 1, 15, 16, 17, 31, 32, 33, 1_000, 1_023, 1_024, 1_025] {
            check(micros);
        }
        for bound in &bounds {
            let micros = u64::try_from(bound.as_micros()).unwrap();
            check(micros - 1);
            check(micros);
            check(micros + 1);
        }
        // Half a minute is still told apart; an age is not.
        assert!(bounds.last().unwrap() > &Duration::from_secs(30));
        assert_eq!(bucket(1 << 40), BOUNDS);
    }
}
