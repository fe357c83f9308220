//! A time to live that is learned: how often does the source change unannounced,
//! and how often is it asked for?
//!
//! Each group of keys (a key by itself, or a tool) has a cell with two running
//! rates, both learned from loads alone:
//!
//! - The rate of changes λ. A load that finds the value changed saw at least one
//!   change since the last; the expected number under the present λ is counted
//!   (one step of expectation-maximisation for a Poisson process that is only
//!   looked at now and then; Cho and Garcia-Molina, "Estimating Frequency of
//!   Change", 2003, show why counting one is biased).
//! - The rate of requests r. An entry that has expired is loaded by the next
//!   request, and a Poisson process does not remember: the gap between the two
//!   is 1/r on average, whatever the time to live was.
//!
//! With a time to live T a group saves r²T/(1+rT) loads a second and serves about
//! half of λ·r²T²/(1+rT) answers that are out of date. Where both slopes have the
//! same ratio in every group (the price p of a stale answer, in loads), no
//! distribution of the same staleness saves more: T = (√(1 + 2r/(pλ)) − 1) / r.
//! The price follows the measured share of stale answers towards the one that was
//! asked for.

use crate::{
    SPAN_MAX,
    error::{ConfigError, check},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How fast old changes of a group lose their weight, with the time between them:
/// a rate of about ten changes, however long they took.
const CHANGE_MEMORY: f64 = 0.9;
/// How fast old gaps do.
const GAP_MEMORY: f64 = 0.95;
/// The same for the share of stale answers, which all groups feed.
const SHARE_MEMORY: f64 = 0.998;
/// The most that one observation moves the logarithm of the price.
const PRICE_STEP: f64 = 0.01;
/// The furthest that it goes from where it began: a factor of 22,000.
const PRICE_RANGE: f64 = 10.0;

/// A time to live between two bounds, learned per group of keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveConfig {
    /// The shortest time to live. Default `1s`. Raising it bounds the loads of
    /// values that change all the time.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub ttl_min: Duration,
    /// The longest time to live. Default `1h`. Raising it saves loads of values
    /// that hardly ever change, and notices later that one did.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub ttl_max: Duration,
    /// The share of answers that may be out of date, in `(0, 0.5]`. Default
    /// 0.01. Raising it saves loads.
    pub stale_share: f64,
    /// Groups that are told apart, 1 to 1,048,576; more of them share a cell.
    /// Default 4,096. Each one costs 32 bytes.
    pub groups: usize,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self {
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(3600),
            stale_share: 0.01,
            groups: 4_096,
        }
    }
}

impl AdaptiveConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        check(
            self.ttl_min >= Duration::from_millis(1),
            "adaptive.ttl_min",
            "must be at least 1ms",
        )?;
        check(
            self.ttl_max >= self.ttl_min,
            "adaptive.ttl_max",
            "must not be below adaptive.ttl_min",
        )?;
        check(
            self.ttl_max <= SPAN_MAX,
            "adaptive.ttl_max",
            "must be at most 30 days",
        )?;
        check(
            self.stale_share > 0.0 && self.stale_share <= 0.5,
            "adaptive.stale_share",
            "must be above 0 and at most 0.5",
        )?;
        check(
            (1..=1 << 20).contains(&self.groups),
            "adaptive.groups",
            "must be from 1 to 1048576",
        )
    }
}

/// What a load found out about the value that it replaces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    /// Time between the two loads.
    pub(crate) held: Duration,
    /// Time from the expiry to the request that made this load; `None` where no
    /// request did.
    pub(crate) gap: Option<Duration>,
    /// Whether the value is another one.
    pub(crate) changed: bool,
}

/// The rates of one group; times in seconds.
#[derive(Debug, Clone, Copy)]
struct Cell {
    changes: f64,
    exposure: f64,
    gaps: f64,
    gap_sum: f64,
}

/// The rates of all groups, and the price of a stale answer.
#[derive(Debug)]
pub(crate) struct Learner {
    cells: Box<[Cell]>,
    ttl_min: f64,
    ttl_max: f64,
    stale_share: f64,
    /// The logarithm of the price.
    price: f64,
    price_start: f64,
    stale: f64,
    answers: f64,
}

impl Learner {
    /// Begins every group with the time to live `ttl`.
    pub(crate) fn new(config: &AdaptiveConfig, ttl: Duration) -> Self {
        let (ttl_min, ttl_max) = (config.ttl_min.as_secs_f64(), config.ttl_max.as_secs_f64());
        let ttl = ttl.as_secs_f64().clamp(ttl_min, ttl_max);
        // As if one gap of `ttl` was seen, and as many changes as the share allows.
        let cell = Cell {
            changes: 1.0,
            exposure: ttl / (2.0 * config.stale_share),
            gaps: 1.0,
            gap_sum: ttl,
        };
        // The price for which such a cell's time to live is `ttl`: (rT + 1)² = 1 + 2r/(pλ).
        let price: f64 = 2.0 / (3.0 * ttl * (cell.changes / cell.exposure));
        Self {
            cells: vec![cell; config.groups].into(),
            ttl_min,
            ttl_max,
            stale_share: config.stale_share,
            price: price.ln(),
            price_start: price.ln(),
            stale: 0.0,
            answers: 0.0,
        }
    }

    /// The time to live of the group with this hash.
    pub(crate) fn ttl(&self, group: u64) -> Duration {
        Duration::from_secs_f64(self.wanted(group).clamp(self.ttl_min, self.ttl_max))
    }

    /// The same in seconds, before the bounds.
    fn wanted(&self, group: u64) -> f64 {
        let (changes, requests) = self.cells[self.index(group)].rates();
        let root = (1.0 + 2.0 * requests / (self.price.exp() * changes)).sqrt();
        (root - 1.0) / requests
    }

    /// Learns from a load.
    pub(crate) fn observe(&mut self, group: u64, seen: Observation) {
        let index = self.index(group);
        let cell = &mut self.cells[index];
        cell.observe(seen);
        let served = seen.held.saturating_sub(seen.gap.unwrap_or_default());
        let (_, requests) = cell.rates();
        let hits = requests * served.as_secs_f64();
        let stale = requests * cell.outdated(served.as_secs_f64(), seen);
        self.stale = self.stale * SHARE_MEMORY + stale;
        self.answers = self.answers * SHARE_MEMORY + hits + 1.0;
        let error = self.stale / self.answers / self.stale_share - 1.0;
        // Where the time to live is at its bound the price moves nothing, and what
        // it went on would have to be gone back once it does.
        let (ttl, bound) = match error > 0.0 {
            true => (self.wanted(group), self.ttl_min),
            false => (-self.wanted(group), -self.ttl_max),
        };
        if ttl > bound {
            let price = self.price + PRICE_STEP * error.clamp(-1.0, 1.0);
            let (low, high) = (
                self.price_start - PRICE_RANGE,
                self.price_start + PRICE_RANGE,
            );
            self.price = price.clamp(low, high);
        }
    }

    fn index(&self, group: u64) -> usize {
        let cells = self.cells.len() as u64;
        usize::try_from((group >> 16) % cells).unwrap_or(0)
    }
}

impl Cell {
    fn observe(&mut self, seen: Observation) {
        let held = seen.held.as_secs_f64();
        let (changes, _) = self.rates();
        let expected = changes * held;
        if seen.changed {
            let counted = match expected > 1e-9 {
                true => expected / -(-expected).exp_m1(),
                false => 1.0,
            };
            self.changes = self.changes * CHANGE_MEMORY + counted;
            self.exposure *= CHANGE_MEMORY;
        }
        self.exposure += held;
        if let Some(gap) = seen.gap {
            self.gaps = self.gaps * GAP_MEMORY + 1.0;
            self.gap_sum = self.gap_sum * GAP_MEMORY + gap.as_secs_f64();
        }
    }

    /// The seconds of those `served` in which the value was out of date, as far
    /// as can be known: a change came at some moment of the time held.
    fn outdated(&self, served: f64, seen: Observation) -> f64 {
        if !seen.changed {
            return 0.0;
        }
        let (changes, _) = self.rates();
        let by_then = |time: f64| -(-changes * time).exp_m1();
        (served - by_then(served) / changes).max(0.0) / by_then(seen.held.as_secs_f64()).max(1e-9)
    }

    /// Changes and requests per second; never zero, so that both divide.
    fn rates(&self) -> (f64, f64) {
        let changes = self.changes.max(1e-3) / self.exposure.max(1e-6);
        let requests = self.gaps / self.gap_sum.max(1e-6);
        (changes, requests)
    }
}

#[cfg(test)]
mod tests;
