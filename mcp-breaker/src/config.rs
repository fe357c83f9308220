//! What a breaker can be told, and the check that it makes sense.

use crate::{
    backoff::Backoff,
    clock::ClockKind,
    error::ConfigError,
    limit::LimitConfig,
    machine::ProbeRules,
    trip::Thresholds,
    window::{CountRing, TimeRing, Window},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most results that a count window can hold.
pub const WINDOW_SIZE_MAX: u32 = 65_536;
/// The longest time window.
pub const WINDOW_DURATION_MAX: Duration = Duration::from_secs(3600);
/// The longest delay of any kind: about a month.
pub const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything a [`Breaker`](crate::Breaker) can be told.
///
/// The default opens after 5 failures in a row, or when half of at least 20
/// of the last 100 calls failed; it stays open for up to 60 seconds, lets 3
/// probes pass and closes after 2 of them succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the rates are computed over. Default: the last 100 calls.
    pub window: WindowConfig,
    /// Opens after this many failures in a row; `None` turns it off. Default 5.
    /// Raising it lets more calls fail before a dead dependency is given up.
    pub consecutive_failures: Option<u32>,
    /// Opens when this share of the window failed, in `(0, 1]`; `None` turns
    /// it off. Default 0.5. Raising it tolerates a sicker dependency.
    pub failure_rate: Option<f64>,
    /// Opens when this share of the window was slow, in `(0, 1]`; `None` (the
    /// default) turns it off. Needs two clock readings per call.
    pub slow_rate: Option<f64>,
    /// How long a call may take before it counts as slow. Default `1s`; read
    /// only if `slow_rate` is set.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub slow_after: Duration,
    /// Rates are looked at from this many results on, not only when the window
    /// is full. Default 20. Raising it opens later on a service that is rarely
    /// called; lowering it lets one failure of few calls weigh much.
    pub calls_min: u32,
    /// How long the breaker stays open.
    pub open: OpenConfig,
    /// How it finds out whether the dependency is back.
    pub half_open: HalfOpenConfig,
    /// How many calls may be in flight. Default: no limit.
    pub limit: LimitConfig,
    /// Which clock to read. Default: the precise one.
    pub clock: ClockKind,
    /// State changes that wait for a slow subscriber before the oldest is
    /// dropped; at least 1. Default 64. Each one costs about 100 bytes from the
    /// first subscription on.
    pub events_capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: WindowConfig::default(),
            consecutive_failures: Some(5),
            failure_rate: Some(0.5),
            slow_rate: None,
            slow_after: Duration::from_secs(1),
            calls_min: 20,
            open: OpenConfig::default(),
            half_open: HalfOpenConfig::default(),
            limit: LimitConfig::None,
            clock: ClockKind::Precise,
            events_capacity: 64,
        }
    }
}

/// What rates are computed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum WindowConfig {
    /// The last `size` results. It slides with every call.
    Count {
        /// Results to look back on, 1 to [`WINDOW_SIZE_MAX`]; 8 bytes hold 32
        /// of them, or 16 if slow calls are watched.
        size: u32,
    },
    /// The results of the last `duration`. It slides by one bucket.
    Time {
        /// Time to look back on, up to [`WINDOW_DURATION_MAX`].
        #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
        duration: Duration,
        /// In how many parts it slides, 10 to 60; each one costs 24 bytes, and
        /// a failed call reads them all. A bucket lasts at least 1 ms.
        buckets: u16,
    },
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self::Count { size: 100 }
    }
}

/// How long a breaker stays open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenConfig {
    /// The first delay, at least 1 ms. Default `60s`. Raising it spares the
    /// dependency and notices its recovery later.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub delay: Duration,
    /// Each failed recovery multiplies the delay by this, in `[1, 10]`.
    /// Default 2.
    pub factor: f64,
    /// The longest delay that the factor can lead to. Default `5m`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub delay_max: Duration,
    /// The share of the delay that is random, in `[0, 1]`: the delay is picked
    /// from `[delay·(1−jitter), delay]`. Default 0.5, so that many clients do
    /// not come back at once. 0 makes it exact.
    pub jitter: f64,
    /// How much of a Retry-After is honoured, from the moment it was asked for.
    /// Default `10m`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retry_after_max: Duration,
}

impl Default for OpenConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(60),
            factor: 2.0,
            delay_max: Duration::from_secs(300),
            jitter: 0.5,
            retry_after_max: Duration::from_secs(600),
        }
    }
}

/// How a breaker finds out whether the dependency is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HalfOpenConfig {
    /// The most probes that are out or have succeeded at a time, at least 1;
    /// one that is dropped, expired or ignored makes room for another. Default
    /// 3. Raising it puts more load on a dependency that may still be sick.
    pub probes_max: u16,
    /// Probes that must succeed before the breaker closes, 1 to `probes_max`.
    /// Default 2.
    pub successes_to_close: u16,
    /// A probe that has not answered by then loses its slot, and its result is
    /// ignored; at least 1 ms. Default `30s`. Set it above the timeout of a call.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub probe_timeout: Duration,
}

impl Default for HalfOpenConfig {
    fn default() -> Self {
        Self {
            probes_max: 3,
            successes_to_close: 2,
            probe_timeout: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.window.validate()?;
        self.validate_thresholds()?;
        self.open.validate()?;
        self.half_open.validate()?;
        self.limit.validate()?;
        check(
            self.events_capacity >= 1,
            "events_capacity",
            "must be at least 1",
        )?;
        check(
            self.events_capacity <= 1 << 16,
            "events_capacity",
            "must be at most 65536",
        )
    }

    fn validate_thresholds(&self) -> Result<(), ConfigError> {
        check(
            self.consecutive_failures != Some(0),
            "consecutive_failures",
            "must be at least 1",
        )?;
        check_rate(self.failure_rate, "failure_rate")?;
        check_rate(self.slow_rate, "slow_rate")?;
        check(
            self.consecutive_failures.is_some()
                || self.failure_rate.is_some()
                || self.slow_rate.is_some(),
            "failure_rate",
            "nothing could ever open the breaker: set a rate or consecutive_failures",
        )?;
        check_delay(self.slow_after, "slow_after")?;
        check(self.calls_min >= 1, "calls_min", "must be at least 1")?;
        if let WindowConfig::Count { size } = self.window {
            let reachable = self.calls_min <= size || !self.thresholds().uses_rates();
            check(
                reachable,
                "calls_min",
                "is more than the window holds, so that no rate is ever looked at",
            )?;
        }
        Ok(())
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            consecutive_failures: self.consecutive_failures,
            failure_rate: self.failure_rate,
            slow_rate: self.slow_rate,
            calls_min: self.calls_min,
        }
    }
}

impl WindowConfig {
    fn validate(self) -> Result<(), ConfigError> {
        match self {
            Self::Count { size } => {
                check(size >= 1, "window.size", "must be at least 1")?;
                check(
                    size <= WINDOW_SIZE_MAX,
                    "window.size",
                    "must be at most 65536",
                )
            }
            Self::Time { duration, buckets } => {
                check(
                    (10..=60).contains(&buckets),
                    "window.buckets",
                    "must be from 10 to 60",
                )?;
                check(
                    duration <= WINDOW_DURATION_MAX,
                    "window.duration",
                    "must be at most 1h",
                )?;
                check(
                    duration >= Duration::from_millis(u64::from(buckets)),
                    "window.duration",
                    "must be at least 1ms for each bucket",
                )
            }
        }
    }

    pub(crate) fn build(self, watches_slow: bool) -> Window {
        match self {
            Self::Count { size } => Window::Count(CountRing::new(size, watches_slow)),
            Self::Time { duration, buckets } => {
                Window::Time(TimeRing::new(to_ns(duration), buckets))
            }
        }
    }
}

impl OpenConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check_delay(self.delay, "open.delay")?;
        check_delay(self.delay_max, "open.delay_max")?;
        check(
            self.delay_max >= self.delay,
            "open.delay_max",
            "must not be below open.delay",
        )?;
        check(
            (1.0..=10.0).contains(&self.factor),
            "open.factor",
            "must be from 1 to 10",
        )?;
        check(
            (0.0..=1.0).contains(&self.jitter),
            "open.jitter",
            "must be from 0 to 1",
        )?;
        check(
            self.retry_after_max <= DELAY_MAX,
            "open.retry_after_max",
            "must be at most 30 days",
        )
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff {
            delay_ns: to_ns(self.delay),
            factor: self.factor,
            delay_max_ns: to_ns(self.delay_max),
            jitter: self.jitter,
            retry_after_max_ns: to_ns(self.retry_after_max),
        }
    }
}

impl HalfOpenConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check(
            self.probes_max >= 1,
            "half_open.probes_max",
            "must be at least 1",
        )?;
        check(
            self.successes_to_close >= 1,
            "half_open.successes_to_close",
            "must be at least 1",
        )?;
        check(
            self.successes_to_close <= self.probes_max,
            "half_open.successes_to_close",
            "is more than half_open.probes_max, so that the breaker could never close",
        )?;
        check_delay(self.probe_timeout, "half_open.probe_timeout")
    }

    pub(crate) fn rules(&self) -> ProbeRules {
        ProbeRules {
            probes_max: self.probes_max,
            successes_to_close: self.successes_to_close,
            timeout_ns: to_ns(self.probe_timeout),
        }
    }
}

pub(crate) fn check(
    holds: bool,
    field: &'static str,
    reason: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, reason })
    }
}

/// NaN is in no range, so that it is refused here too.
fn check_rate(rate: Option<f64>, field: &'static str) -> Result<(), ConfigError> {
    let sound = rate.is_none_or(|rate| rate > 0.0 && rate <= 1.0);
    check(sound, field, "must be above 0 and at most 1")
}

pub(crate) fn check_delay(delay: Duration, field: &'static str) -> Result<(), ConfigError> {
    check(
        delay >= Duration::from_millis(1),
        field,
        "must be at least 1ms",
    )?;
    check(delay <= DELAY_MAX, field, "must be at most 30 days")
}

/// Saturating; `validate` keeps every configured duration far below.
pub(crate) fn to_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
