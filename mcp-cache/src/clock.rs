//! Monotonic time in milliseconds since a cache's own origin.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Which clock a cache reads, once per look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockKind {
    /// tokio's clock, which tests can pause. A reading costs about 23 ns.
    #[default]
    Precise,
    /// The kernel's coarse monotonic clock: steps of 1 to 4 ms, a reading
    /// costs about 7 ns, and tests cannot pause it. Needs the feature
    /// `coarse-clock` and Linux; elsewhere it is the precise one.
    Coarse,
}

/// A clock and its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    Precise(Instant),
    #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
    Coarse {
        origin_ms: u64,
    },
}

impl Clock {
    pub(crate) fn start(kind: ClockKind) -> Self {
        match kind {
            #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
            ClockKind::Coarse => Self::Coarse {
                origin_ms: coarse_ms(),
            },
            _ => Self::Precise(Instant::now()),
        }
    }

    /// Milliseconds since the origin; never goes back.
    #[inline]
    pub(crate) fn now_ms(&self) -> u64 {
        match self {
            Self::Precise(origin) => {
                // In 64 bits; `as_millis` has 128.
                let elapsed = origin.elapsed();
                elapsed.as_secs() * 1_000 + u64::from(elapsed.subsec_millis())
            }
            #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
            Self::Coarse { origin_ms } => coarse_ms().saturating_sub(*origin_ms),
        }
    }
}

#[cfg(all(feature = "coarse-clock", target_os = "linux"))]
#[inline]
fn coarse_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000)
        .saturating_add(nanos / 1_000_000)
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_precise_clock_follows_paused_time() {
        let clock = Clock::start(ClockKind::Precise);
        assert_eq!(clock.now_ms(), 0);
        tokio::time::advance(Duration::from_micros(1_500_900)).await;
        assert_eq!(clock.now_ms(), 1_500);
    }

    #[cfg(all(feature = "coarse-clock", target_os = "linux"))]
    #[test]
    fn the_coarse_clock_advances_and_keeps_up() {
        let coarse = Clock::start(ClockKind::Coarse);
        let precise = Clock::start(ClockKind::Precise);
        let mut last_ms = 0;
        while precise.now_ms() < 50 {
            let now_ms = coarse.now_ms();
            assert!(now_ms >= last_ms);
            last_ms = now_ms;
        }
        let precise_ms = precise.now_ms();
        assert!(coarse.now_ms() + 20 >= precise_ms);
    }
}
