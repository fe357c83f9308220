//! Adaptive throttling on the client's side: sheds in proportion to what the
//! dependency refuses, and so never stops asking altogether.

use crate::{
    ConfigError, Outcome, Policy, Rejected, Settle, Verdict,
    clock::{Clock, ClockKind},
    config::{WINDOW_DURATION_MAX, check, to_ns},
    random::{SharedRandom, seed},
    window::{Field, TimeRing},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// What a [`Throttle`] can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThrottleConfig {
    /// How far back requests are counted; well above the slowest call, because
    /// a request counts before its answer does. Default `2m`, at most
    /// [`WINDOW_DURATION_MAX`]. Raising it reacts and forgives more slowly.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub window: Duration,
    /// In how many parts the window slides, 10 to 60. Default 12.
    pub buckets: u16,
    /// How many requests may be made per accepted one, in `[1, 100]`. Default
    /// 2. Raising it sheds later and notices recovery sooner, and wastes more
    /// of the dependency's time.
    pub requests_per_accept: f64,
    /// Which clock to read. Default: the precise one.
    pub clock: ClockKind,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(120),
            buckets: 12,
            requests_per_accept: 2.0,
            clock: ClockKind::Precise,
        }
    }
}

impl ThrottleConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(
            (10..=60).contains(&self.buckets),
            "buckets",
            "must be from 10 to 60",
        )?;
        check(
            self.window <= WINDOW_DURATION_MAX,
            "window",
            "must be at most 1h",
        )?;
        check(
            self.window >= Duration::from_millis(u64::from(self.buckets)),
            "window",
            "must be at least 1ms for each bucket",
        )?;
        check(
            (1.0..=100.0).contains(&self.requests_per_accept),
            "requests_per_accept",
            "must be from 1 to 100",
        )
    }
}

/// The probability of shedding, after the SRE book:
/// `max(0, (requests − K·accepted) / (requests + 1))`.
fn shed_probability(requests: u32, accepted: u32, requests_per_accept: f64) -> f64 {
    let excess = f64::from(requests) - requests_per_accept * f64::from(accepted);
    (excess / (f64::from(requests) + 1.0)).max(0.0)
}

/// Sheds calls at random, the more of them the more the dependency refuses.
/// Cloning it is cheap; all clones are the same throttle.
///
/// A request counts when it is made, also when it is shed; an acceptance when
/// its answer comes. Failures and overloads are not acceptances; a cancelled
/// call is taken back.
#[derive(Debug, Clone)]
pub struct Throttle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: TimeRing,
    requests_per_accept: f64,
    clock: Clock,
    random: SharedRandom,
}

/// A throttle's requests and acceptances in its window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ThrottleStats {
    /// Requests in the window, shed ones included.
    pub requests: u32,
    /// Those that the dependency accepted.
    pub accepted: u32,
    /// The probability that the next one is shed, in `[0, 1)`.
    pub shed_probability: f64,
}

/// The throttle has no lives: its window never begins anew.
const LIFE: u32 = 0;

/// What the ring counts here.
const REQUESTS: Field = Field::Whole;
const ACCEPTED: Field = Field::Part;

impl Throttle {
    /// A throttle that sheds nothing yet.
    ///
    /// # Errors
    /// [`ThrottleConfig::validate`] found a field that makes no sense.
    pub fn new(config: &ThrottleConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self(Arc::new(Inner {
            ring: TimeRing::new(to_ns(config.window), config.buckets),
            requests_per_accept: config.requests_per_accept,
            clock: Clock::start(config.clock),
            random: SharedRandom::new(seed()),
        })))
    }

    /// Asks to make a call, and returns at once.
    ///
    /// # Errors
    /// [`Rejected::Throttled`] if the call should be shed.
    pub fn try_acquire(&self) -> Result<ThrottlePermit, Rejected> {
        let now_ns = self.0.clock.now_ns();
        let stats = self.stats_at(now_ns);
        self.0.ring.add(REQUESTS, LIFE, now_ns);
        if stats.shed_probability > 0.0 && self.0.random.unit() < stats.shed_probability {
            let ThrottleStats {
                requests, accepted, ..
            } = stats;
            return Err(Rejected::Throttled { requests, accepted });
        }
        Ok(ThrottlePermit {
            throttle: self.clone(),
            began_ns: now_ns,
            settled: false,
        })
    }

    /// What the window holds at this moment. Reads the clock.
    #[must_use]
    pub fn stats(&self) -> ThrottleStats {
        self.stats_at(self.0.clock.now_ns())
    }

    fn stats_at(&self, now_ns: u64) -> ThrottleStats {
        let requests = self.0.ring.sum(REQUESTS, LIFE, now_ns);
        let accepted = self.0.ring.sum(ACCEPTED, LIFE, now_ns);
        let shed_probability = shed_probability(requests, accepted, self.0.requests_per_accept);
        ThrottleStats {
            requests,
            accepted,
            shed_probability,
        }
    }
}

/// The right to make one call past a [`Throttle`]. Dropped unsettled the
/// request is taken back, unless the thread unwinds: a bare permit cannot know
/// whose panic that is.
#[derive(Debug)]
#[must_use = "dropping a permit at once cancels the call"]
pub struct ThrottlePermit {
    throttle: Throttle,
    began_ns: u64,
    settled: bool,
}

impl Settle for ThrottlePermit {
    fn settle(mut self, verdict: Verdict) {
        self.settled = true;
        let Inner { ring, clock, .. } = &*self.throttle.0;
        if matches!(verdict.outcome(), Outcome::Success | Outcome::Ignore) {
            ring.add(ACCEPTED, LIFE, clock.now_ns());
        }
    }

    fn cancel(mut self) {
        self.settled = true;
        self.take_back();
    }
}

impl ThrottlePermit {
    fn take_back(&self) {
        let ring = &self.throttle.0.ring;
        ring.take_back(REQUESTS, LIFE, self.began_ns);
    }
}

impl Drop for ThrottlePermit {
    fn drop(&mut self) {
        // A panic stays a request that was not accepted.
        if !self.settled && !std::thread::panicking() {
            self.take_back();
        }
    }
}

impl Policy for Throttle {
    type Permit = ThrottlePermit;

    fn try_enter(&self) -> Result<ThrottlePermit, Rejected> {
        self.try_acquire()
    }

    /// At once: a throttle never refuses for good.
    async fn ready(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_follow_the_table() {
        let check = |requests, accepted, expect: f64| {
            let got = shed_probability(requests, accepted, 2.0);
            assert!((got - expect).abs() < 1e-9, "{requests} {accepted}: {got}");
        };
        check(0, 0, 0.0);
        check(100, 100, 0.0);
        check(100, 50, 0.0);
        check(99, 0, 0.99);
        check(199, 50, 0.495);
    }
}
