//! How long values of one kind may be served, and how they are loaded.

use crate::{
    AdaptiveConfig,
    error::{ConfigError, check},
    freshness::Rules,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest span of any kind: 30 days.
pub const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long values of one kind may be served, and how they are loaded: one for
/// tool lists, another for manifests, one that no class names for the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassConfig {
    /// How long a value is fresh; `None` for as long as it is not invalidated or
    /// evicted. Default `5m`. Raising it saves loads and notices later what
    /// nobody invalidates.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub ttl: Option<Duration>,
    /// The share of the time to live that is random, in `[0, 1)`: it is picked
    /// from `[ttl·(1−jitter), ttl]`. Default 0.1, so that what was loaded
    /// together does not expire together.
    pub jitter: f64,
    /// How long after its time to live a value is served, marked as stale, while
    /// it is loaded anew in the background. Default `0s`: not at all.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub stale_while_revalidate: Duration,
    /// How long after its time to live a value is served, marked as stale, when
    /// its load fails or passes a deadline. Default `0s`: not at all. Meant for
    /// manifests and the like, which are better old than missing.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub stale_on_error: Duration,
    /// Whether a value that was invalidated may be served, marked as such, when
    /// its load fails and it is no older than it could have been otherwise.
    /// Default false. Never for what a user wrote or deleted.
    pub invalidated_on_error: bool,
    /// The last share of the time to live in which a hit starts a load in the
    /// background, in `[0, 0.9]`. Default 0: none. When in the first half of that
    /// share differs from entry to entry.
    pub refresh_ahead: f64,
    /// How long a caller waits for a load while there is a stale value that may
    /// be served on error; then it gets that, and the load goes on in the
    /// background, or ends where there is no room for it. Default `None`: for as
    /// long as the load takes.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub soft_deadline: Option<Duration>,
    /// How long a load may take before it is dropped. Default `None`: for ever.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub hard_deadline: Option<Duration>,
    /// How long the error of a load answers those who ask after it, too. Default
    /// `0s`: only those who waited for it. Ends early when the key is invalidated,
    /// or any tag, namespace or pattern: nobody knows which the value would have had.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub error_ttl: Duration,
    /// Learns the time to live, which begins with `ttl`. Default `None`.
    pub adaptive: Option<AdaptiveConfig>,
}

impl Default for ClassConfig {
    fn default() -> Self {
        Self {
            ttl: Some(Duration::from_secs(300)),
            jitter: 0.1,
            stale_while_revalidate: Duration::ZERO,
            stale_on_error: Duration::ZERO,
            invalidated_on_error: false,
            refresh_ahead: 0.0,
            soft_deadline: None,
            hard_deadline: None,
            error_ttl: Duration::ZERO,
            adaptive: None,
        }
    }
}

impl ClassConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_positive(self.ttl, "ttl")?;
        check(
            (0.0..1.0).contains(&self.jitter),
            "jitter",
            "must be at least 0 and below 1",
        )?;
        check(
            (0.0..=0.9).contains(&self.refresh_ahead),
            "refresh_ahead",
            "must be from 0 to 0.9",
        )?;
        let spans = [
            (self.stale_while_revalidate, "stale_while_revalidate"),
            (self.stale_on_error, "stale_on_error"),
            (self.error_ttl, "error_ttl"),
        ];
        for (span, field) in spans {
            check(span <= SPAN_MAX, field, "must be at most 30 days")?;
        }
        check_positive(self.soft_deadline, "soft_deadline")?;
        check_positive(self.hard_deadline, "hard_deadline")?;
        check(
            self.soft_deadline.is_none() || !self.stale_on_error.is_zero(),
            "soft_deadline",
            "needs stale_on_error: without it there is nothing to serve at the deadline",
        )?;
        check(
            self.soft_deadline.is_none() || self.stale_on_error > self.stale_while_revalidate,
            "soft_deadline",
            "needs stale_on_error above stale_while_revalidate: until then nobody waits",
        )?;
        check(
            self.ttl.is_some() || !self.invalidated_on_error,
            "invalidated_on_error",
            "needs a ttl: without it what was invalidated would be kept for ever",
        )?;
        if let (Some(soft), Some(hard)) = (self.soft_deadline, self.hard_deadline) {
            check(
                soft <= hard,
                "soft_deadline",
                "must not be above hard_deadline",
            )?;
        }
        let Some(adaptive) = &self.adaptive else {
            return Ok(());
        };
        check(self.ttl.is_some(), "adaptive", "needs a ttl to begin with")?;
        adaptive.validate()
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            ttl: self.ttl,
            jitter: self.jitter,
            revalidate: self.stale_while_revalidate,
            on_error: self.stale_on_error,
            ahead: self.refresh_ahead,
            keeps_expired: self.adaptive.is_some(),
        }
    }
}

fn check_positive(span: Option<Duration>, field: &'static str) -> Result<(), ConfigError> {
    let Some(span) = span else { return Ok(()) };
    check(
        span >= Duration::from_millis(1),
        field,
        "must be at least 1ms",
    )?;
    check(span <= SPAN_MAX, field, "must be at most 30 days")
}
