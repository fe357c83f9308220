//! Monotonic time as nanoseconds since a breaker's own origin.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Which clock a breaker reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockKind {
    /// tokio's clock: nanoseconds, and tests can pause it. A reading costs
    /// about 23 ns.
    #[default]
    Precise,
    /// The kernel's coarse monotonic clock: steps of 1 to 4 ms, a reading
    /// costs about 7 ns, and tests cannot pause it. Right where slow calls take
    /// tens of milliseconds. Needs the feature `coarse-clock` and Linux;
    /// elsewhere it is the precise one.
    Coarse,
}

/// A clock and its origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Clock {
    Precise(Instant),
    #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
    Coarse {
        origin_ns: u64,
    },
}

impl Clock {
    pub(crate) fn start(kind: ClockKind) -> Self {
        match kind {
            #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
            ClockKind::Coarse => Self::Coarse {
                origin_ns: coarse_ns(),
            },
            _ => Self::Precise(Instant::now()),
        }
    }

    /// Nanoseconds since the origin; never goes back.
    pub(crate) fn now_ns(&self) -> u64 {
        match self {
            Self::Precise(origin) => {
                // In 64 bits, which last for 584 years; `as_nanos` has 128.
                let elapsed = origin.elapsed();
                elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
            }
            #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
            Self::Coarse { origin_ns } => coarse_ns().saturating_sub(*origin_ns),
        }
    }
}

#[cfg(all(feature = "coarse-clock", target_os = "linux"))]
fn coarse_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_precise_clock_follows_paused_time() {
        let clock = Clock::start(ClockKind::Precise);
        assert_eq!(clock.now_ns(), 0);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now_ns(), 1_500_000_000);
    }

    #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
    #[test]
    fn the_coarse_clock_advances_and_keeps_up() {
        let coarse = Clock::start(ClockKind::Coarse);
        let precise = Clock::start(ClockKind::Precise);
        let mut last_ns = 0;
        while precise.now_ns() < 50_000_000 {
            let now_ns = coarse.now_ns();
            assert!(now_ns >= last_ns);
            last_ns = now_ns;
        }
        // Read in this order the coarse clock can lag by its own step only,
        // however long the thread was kept waiting.
        let precise_ns = precise.now_ns();
        assert!(coarse.now_ns() + 20_000_000 >= precise_ns);
    }
}
