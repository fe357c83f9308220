//! What a pool can be told, and the check that it makes sense.

use crate::{backoff::Backoff, clock::to_ns, error::ConfigError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest pool, and the longest queue of waiters.
pub const CONNECTIONS_MAX: usize = 65_536;
/// The longest duration of any kind: about a month.
pub const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything a [`Pool`](crate::Pool) can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The most connections at a time: lent, idle, and being made. Default 100.
    /// Raising it serves more callers at once, as far as the other side can.
    pub max_connections: usize,
    /// Connections that are kept although they are idle; they are made at the
    /// start and made again when one is lost. Default 0. Raising it spares
    /// callers the connect and costs the other side its memory.
    pub min_connections: usize,
    /// The most idle connections; a return beyond closes the one that was idle
    /// longest. `None` (the default) is no limit but `max_connections`.
    pub max_idle: Option<usize>,
    /// Connects at work at once. Default 8. Raising it warms up faster and hits
    /// the other side harder.
    pub max_connecting: usize,
    /// Callers that may wait; others are refused. Default 10,000. Raising it
    /// turns refusals into latency.
    pub max_waiters: usize,
    /// How long a checkout may take in all. Default `30s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub acquire_timeout: Duration,
    /// How long a connect may take. Default `10s`. It is not the caller's wait:
    /// that goes on, with another connect or a return.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// How long a check may take before the connection counts as broken.
    /// Default `1s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub check_timeout: Duration,
    /// How long a good-bye may take; the connection keeps its place until then.
    /// Default `1s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub close_timeout: Duration,
    /// A connection that was idle for so long is checked before it is lent.
    /// Default `500ms`; `0s` checks at every checkout. Raising it saves round
    /// trips and meets more broken connections.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub check_after: Duration,
    /// An idle connection is checked this often in the background, one at a
    /// time. Default `30s`; `None` turns it off.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub health_check_interval: Option<Duration>,
    /// A connection that was idle for so long is closed, unless that leaves
    /// fewer than `min_connections`. Default `5m`; `None` keeps it.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub max_idle_time: Option<Duration>,
    /// A connection that is so old, give or take a random tenth, is not lent
    /// again. Default `30m`; `None` keeps it. Lowering it spreads load over
    /// what is new behind an address.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub max_lifetime: Option<Duration>,
    /// The delay after a connect that failed; it doubles with each failure in a
    /// row, and half of it is random. Default `50ms`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_backoff: Duration,
    /// The longest such delay. Default `5s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_backoff_max: Duration,
    /// A connection that is lent for so long is reported, once, as it may have
    /// leaked. `None` (the default) reports none.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub lent_warn: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 100,
            min_connections: 0,
            max_idle: None,
            max_connecting: 8,
            max_waiters: 10_000,
            acquire_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            check_timeout: Duration::from_secs(1),
            close_timeout: Duration::from_secs(1),
            check_after: Duration::from_millis(500),
            health_check_interval: Some(Duration::from_secs(30)),
            max_idle_time: Some(Duration::from_secs(300)),
            max_lifetime: Some(Duration::from_secs(1800)),
            connect_backoff: Duration::from_millis(50),
            connect_backoff_max: Duration::from_secs(5),
            lent_warn: None,
        }
    }
}

impl Config {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let count = |value: usize, field| {
            check(value >= 1, field, "must be at least 1")?;
            check(value <= CONNECTIONS_MAX, field, "must be at most 65536")
        };
        count(self.max_connections, "max_connections")?;
        count(self.max_connecting, "max_connecting")?;
        count(self.max_waiters, "max_waiters")?;
        check(
            self.min_connections <= self.max_connections,
            "min_connections",
            "must be at most max_connections",
        )?;
        let idle = self.max_idle.unwrap_or(self.max_connections);
        check(
            idle >= self.min_connections,
            "max_idle",
            "must be at least min_connections",
        )?;
        self.validate_durations()?;
        check(
            self.connect_backoff_max >= self.connect_backoff,
            "connect_backoff_max",
            "must be at least connect_backoff",
        )
    }

    fn validate_durations(&self) -> Result<(), ConfigError> {
        let positive = [
            (Some(self.acquire_timeout), "acquire_timeout"),
            (Some(self.connect_timeout), "connect_timeout"),
            (Some(self.check_timeout), "check_timeout"),
            (Some(self.close_timeout), "close_timeout"),
            (self.health_check_interval, "health_check_interval"),
            (self.max_idle_time, "max_idle_time"),
            (self.max_lifetime, "max_lifetime"),
            (Some(self.connect_backoff), "connect_backoff"),
            (Some(self.connect_backoff_max), "connect_backoff_max"),
            (self.lent_warn, "lent_warn"),
        ];
        for (duration, field) in positive {
            let Some(duration) = duration else { continue };
            // Less than a timer can tell would keep the upkeep busy for nothing.
            let fits = duration >= Duration::from_millis(1);
            check(fits, field, "must be at least 1ms")?;
            check(duration <= DURATION_MAX, field, "must be at most 30d")?;
        }
        let fits = self.check_after <= DURATION_MAX;
        check(fits, "check_after", "must be at most 30d")
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max: self.max_connections,
            min: self.min_connections,
            max_idle: self.max_idle.unwrap_or(usize::MAX),
            max_connecting: self.max_connecting,
            max_waiters: self.max_waiters,
            check_after_ns: to_ns(self.check_after),
            health_ns: self.health_check_interval.map(to_ns),
            idle_ns: self.max_idle_time.map(to_ns),
            lifetime_ns: self.max_lifetime.map(to_ns),
            lent_warn_ns: self.lent_warn.map(to_ns),
            backoff: Backoff {
                first_ns: to_ns(self.connect_backoff),
                max_ns: to_ns(self.connect_backoff_max),
            },
        }
    }
}

/// What the state decides by, parsed from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max: usize,
    pub(crate) min: usize,
    pub(crate) max_idle: usize,
    pub(crate) max_connecting: usize,
    pub(crate) max_waiters: usize,
    pub(crate) check_after_ns: u64,
    pub(crate) health_ns: Option<u64>,
    pub(crate) idle_ns: Option<u64>,
    pub(crate) lifetime_ns: Option<u64>,
    pub(crate) lent_warn_ns: Option<u64>,
    pub(crate) backoff: Backoff,
}

fn check(holds: bool, field: &'static str, reason: &'static str) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, reason })
    }
}
