//! What a result says about the dependency.

use std::time::Duration;

/// How a call ended, as the dependency's health sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency did its work.
    Success,
    /// It did not.
    Failure,
    /// It refused because it is busy (429, `RESOURCE_EXHAUSTED`). This fails a
    /// probe, lowers an adaptive limit and feeds the throttle, but is not held
    /// against the dependency in a closed breaker's window.
    Overload,
    /// It says nothing about the dependency (a caller's mistake, say). Counts
    /// for nothing; a probe's slot returns.
    Ignore,
}

/// An outcome and what the dependency asked for along with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) retry_after: Option<Duration>,
}

impl Verdict {
    /// [`Outcome::Success`].
    pub const SUCCESS: Self = Self::new(Outcome::Success);
    /// [`Outcome::Failure`].
    pub const FAILURE: Self = Self::new(Outcome::Failure);
    /// [`Outcome::Overload`].
    pub const OVERLOAD: Self = Self::new(Outcome::Overload);
    /// [`Outcome::Ignore`].
    pub const IGNORE: Self = Self::new(Outcome::Ignore);

    /// A verdict without Retry-After.
    #[must_use]
    pub const fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            retry_after: None,
        }
    }

    /// Adds how long the dependency asked to be left alone. It becomes the
    /// least delay of the next opening, up to `open.retry_after_max`.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// How the call ended.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// Judges results. Implemented by closures `Fn(&Result<T, E>) -> Verdict`.
pub trait Classify<T, E> {
    /// What `result` says about the dependency. Runs on the call's path: it
    /// should not block.
    fn classify(&self, result: &Result<T, E>) -> Verdict;
}

/// `Ok` is a success and `Err` a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByResult;

impl<T, E> Classify<T, E> for ByResult {
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        if result.is_ok() {
            Verdict::SUCCESS
        } else {
            Verdict::FAILURE
        }
    }
}

impl<T, E, F> Classify<T, E> for F
where
    F: Fn(&Result<T, E>) -> Verdict,
{
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        self(result)
    }
}
