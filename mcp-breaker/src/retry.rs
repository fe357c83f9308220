//! How many retries the callers of a dependency may make together.

use crate::{
    ConfigError,
    clock::{Clock, ClockKind},
    config::{WINDOW_DURATION_MAX, check, to_ns},
    window::{Field, TimeRing},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// What a [`RetryBudget`] can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Retries allowed per first try, in `[0, 10]`. Default 0.2. Raising it
    /// multiplies the load on a dependency that fails.
    pub ratio: f64,
    /// Retries per second that are allowed whatever the traffic, at most 1e6.
    /// Default 10.
    pub min_per_second: u32,
    /// How long a first try can pay for retries. Default `10s`, at most
    /// [`WINDOW_DURATION_MAX`].
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub ttl: Duration,
    /// Which clock to read. Default: the precise one.
    pub clock: ClockKind,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            min_per_second: 10,
            ttl: Duration::from_secs(10),
            clock: ClockKind::Precise,
        }
    }
}

impl RetryConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(
            (0.0..=10.0).contains(&self.ratio),
            "ratio",
            "must be from 0 to 10",
        )?;
        check(
            self.min_per_second <= 1_000_000,
            "min_per_second",
            "must be at most 1000000",
        )?;
        check(
            self.ratio > 0.0 || self.min_per_second > 0,
            "ratio",
            "no retry would ever be allowed: raise it or min_per_second",
        )?;
        check(
            self.ttl >= Duration::from_secs(1),
            "ttl",
            "must be at least 1s",
        )?;
        check(self.ttl <= WINDOW_DURATION_MAX, "ttl", "must be at most 1h")
    }
}

/// Ten parts: what was paid in expires in steps of a tenth of `ttl`.
const BUCKETS: u16 = 10;
const LIFE: u32 = 0;

/// What the ring counts here.
const TRIES: Field = Field::Whole;
const RETRIES: Field = Field::Part;

/// Bounds retries to a share of the first tries, so that a failing dependency
/// is not buried under them. Cloning it is cheap; all clones are the same
/// budget.
#[derive(Debug, Clone)]
pub struct RetryBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: TimeRing,
    ratio: f64,
    reserve: f64,
    clock: Clock,
}

/// A budget's state at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RetryStats {
    /// First tries in the last `ttl`.
    pub tries: u32,
    /// Retries in the last `ttl`.
    pub retries: u32,
    /// Retries that the first tries and the reserve pay for.
    pub allowed: u32,
}

impl RetryBudget {
    /// A budget that holds its reserve.
    ///
    /// # Errors
    /// [`RetryConfig::validate`] found a field that makes no sense.
    pub fn new(config: &RetryConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            ring: TimeRing::new(to_ns(config.ttl), BUCKETS),
            ratio: config.ratio,
            reserve: f64::from(config.min_per_second) * config.ttl.as_secs_f64(),
            clock: Clock::start(config.clock),
        })))
    }

    /// Notes a first try.
    pub fn deposit(&self) {
        let now_ns = self.0.clock.now_ns();
        self.0.ring.add(TRIES, LIFE, now_ns);
    }

    /// Takes one retry out; `false` if the budget does not hold one. Two
    /// callers that meet at the last retry may both be refused. Two that meet
    /// on either side of a tenth of `ttl` may both be granted it, where the
    /// machine orders memory weakly.
    #[must_use]
    pub fn try_withdraw(&self) -> bool {
        let now_ns = self.0.clock.now_ns();
        // Counted before it is judged, so that two callers cannot both take
        // the last one.
        let counted = self.0.ring.add(RETRIES, LIFE, now_ns);
        let stats = self.stats_at(now_ns);
        let granted = counted && stats.retries <= stats.allowed;
        if counted && !granted {
            self.0.ring.take_back(RETRIES, LIFE, now_ns);
        }
        granted
    }

    /// What the budget holds at this moment. Reads the clock.
    #[must_use]
    pub fn stats(&self) -> RetryStats {
        self.stats_at(self.0.clock.now_ns())
    }

    fn stats_at(&self, now_ns: u64) -> RetryStats {
        let tries = self.0.ring.sum(TRIES, LIFE, now_ns);
        let retries = self.0.ring.sum(RETRIES, LIFE, now_ns);
        RetryStats {
            tries,
            retries,
            allowed: allowed(tries, self.0.ratio, self.0.reserve),
        }
    }
}

/// Rounded down, but 10 tries at a ratio of 0.1 pay for one whole retry.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate"
)]
fn allowed(tries: u32, ratio: f64, reserve: f64) -> u32 {
    (f64::from(tries) * ratio + reserve + 1e-9).floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowances_follow_the_table() {
        let check = |tries, ratio, reserve, expect| {
            assert_eq!(
                allowed(tries, ratio, reserve),
                expect,
                "{tries} {ratio} {reserve}"
            );
        };
        check(0, 0.2, 0.0, 0);
        check(4, 0.2, 0.0, 0);
        check(5, 0.2, 0.0, 1);
        check(30, 0.1, 0.0, 3);
        check(0, 0.2, 100.0, 100);
        check(u32::MAX, 10.0, 0.0, u32::MAX);
    }
}
