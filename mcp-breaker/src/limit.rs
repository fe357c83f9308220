//! How many calls may be in flight at once.

mod gradient;

use crate::{
    ConfigError, Outcome,
    config::check,
    sync::{AtomicU64, Mutex, Ordering, Padded},
};
use gradient::{Gradient, Sample};
use serde::{Deserialize, Serialize};

/// How many calls may be in flight at once.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum LimitConfig {
    /// No limit, and nothing is counted.
    #[default]
    None,
    /// Always the same limit.
    Fixed {
        /// Calls in flight, at least 1. Raising it puts more load on the
        /// dependency.
        max_in_flight: u32,
    },
    /// A limit that follows the dependency's latency.
    Gradient(GradientConfig),
}

/// A limit that falls when calls take longer than they usually do, and grows
/// while they do not.
///
/// The usual duration is a smoothed baseline: it falls quickly and rises
/// slowly, and ten times more slowly while calls take long, so that a lasting
/// overload is not taken for normal. Only successes say how long calls take:
/// failures are left out, and overloads lower the limit however fast they come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradientConfig {
    /// The limit to begin with. Default 20.
    pub initial: u32,
    /// The limit never falls below this, at least 1. Default 4.
    pub min: u32,
    /// The limit never grows above this. Default 200.
    pub max: u32,
    /// How much longer than usual calls may take before the limit falls, in
    /// `[1, 10]`. Default 1.5. Raising it accepts more queueing.
    pub tolerance: f64,
    /// How far the limit moves to its new value at once, in `(0, 1]`. Default
    /// 0.2. Raising it reacts faster and swings more.
    pub smoothing: f64,
    /// Successes and overloads until the limit moves, at least 1. Default 20.
    pub samples: u32,
}

impl Default for GradientConfig {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 4,
            max: 200,
            tolerance: 1.5,
            smoothing: 0.2,
            samples: 20,
        }
    }
}

impl LimitConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::None => Ok(()),
            Self::Fixed { max_in_flight } => check(
                *max_in_flight >= 1,
                "limit.max_in_flight",
                "must be at least 1",
            ),
            Self::Gradient(gradient) => gradient.validate(),
        }
    }
}

impl GradientConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check(self.min >= 1, "limit.min", "must be at least 1")?;
        check(
            self.max >= self.min,
            "limit.max",
            "must not be below limit.min",
        )?;
        check(
            (self.min..=self.max).contains(&self.initial),
            "limit.initial",
            "must be from limit.min to limit.max",
        )?;
        check(
            (1.0..=10.0).contains(&self.tolerance),
            "limit.tolerance",
            "must be from 1 to 10",
        )?;
        check(
            self.smoothing > 0.0 && self.smoothing <= 1.0,
            "limit.smoothing",
            "must be above 0 and at most 1",
        )?;
        check(self.samples >= 1, "limit.samples", "must be at least 1")
    }
}

/// The shell around the limit: who is in, and how many may be.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Limit 32 bits | calls in flight 32 bits: one word, so that entering is
    /// exact under a limit that moves.
    word: Padded<AtomicU64>,
    gradient: Option<Mutex<Gradient>>,
}

const ONE: u64 = 1;

/// A limiter's word as (limit, calls in flight).
#[expect(
    clippy::cast_possible_truncation,
    reason = "takes the two halves apart"
)]
pub(crate) const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Limiter {
    /// The limiter that a valid configuration asks for, if any.
    pub(crate) fn build(config: &LimitConfig) -> Option<Self> {
        let (limit, gradient) = match config {
            LimitConfig::None => return None,
            LimitConfig::Fixed { max_in_flight } => (*max_in_flight, None),
            LimitConfig::Gradient(config) => {
                (config.initial, Some(Mutex::new(Gradient::new(*config))))
            }
        };
        let word = Padded(AtomicU64::new(u64::from(limit) << 32));
        Some(Self { word, gradient })
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        self.gradient.is_some()
    }

    pub(crate) fn limit(&self) -> u32 {
        unpack(self.word.0.load(Ordering::Relaxed)).0
    }

    pub(crate) fn in_flight(&self) -> u32 {
        unpack(self.word.0.load(Ordering::Relaxed)).1
    }

    /// Takes a place. Exact: never more than the limit, and no refusal while a
    /// place is free. The error is the word that left no place.
    pub(crate) fn enter(&self) -> Result<(), u64> {
        let mut word = self.word.0.load(Ordering::Relaxed);
        loop {
            let (limit, in_flight) = unpack(word);
            if in_flight >= limit {
                return Err(word);
            }
            let entered = word + ONE;
            match self.word.0.compare_exchange_weak(
                word,
                entered,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
    }

    /// Gives the place back, and learns from how the call went. A sample is
    /// skipped while another thread learns: no call waits for a statistic.
    /// Whether the limit had been full: somebody may be waiting for the place.
    pub(crate) fn leave(&self, outcome: Outcome, took_ns: u64) -> bool {
        let (limit, in_flight) = unpack(self.word.0.fetch_sub(ONE, Ordering::Release));
        self.learn(outcome, took_ns, in_flight);
        in_flight >= limit
    }

    fn learn(&self, outcome: Outcome, took_ns: u64, in_flight: u32) {
        let sample = match outcome {
            Outcome::Success => Sample::Took { ns: took_ns },
            Outcome::Overload => Sample::Overload,
            // A dependency that is down fails at once, or after a timeout:
            // neither is how long its work takes.
            Outcome::Failure | Outcome::Ignore => return,
        };
        let Some(gradient) = &self.gradient else {
            return;
        };
        let Ok(mut gradient) = gradient.try_lock() else {
            return;
        };
        if let Some(limit) = gradient.learn(sample, in_flight) {
            self.set_limit(limit);
        }
    }

    /// Gives the place back of a call that was cancelled: how long it ran says
    /// nothing. Whether the limit had been full.
    pub(crate) fn abandon(&self) -> bool {
        let (limit, in_flight) = unpack(self.word.0.fetch_sub(ONE, Ordering::Release));
        in_flight >= limit
    }

    pub(crate) fn is_full(&self) -> bool {
        let (limit, in_flight) = unpack(self.word.0.load(Ordering::Relaxed));
        in_flight >= limit
    }

    fn set_limit(&self, limit: u32) {
        let mut word = self.word.0.load(Ordering::Relaxed);
        loop {
            let (_, in_flight) = unpack(word);
            let new = (u64::from(limit) << 32) | u64::from(in_flight);
            match self
                .word
                .0
                .compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(seen) => word = seen,
            }
        }
    }
}
