//! Why a call was refused, and what a guarded call can return.

use crate::clock::Clock;
use std::time::Duration;
use thiserror::Error;

/// A configuration that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// The field's path, such as `open.delay`.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why a call was not let through. The dependency was not touched.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The breaker is open.
    #[error("the circuit breaker is open")]
    Open {
        /// When it lets a probe pass.
        reopens: ReopensAt,
    },
    /// An operator holds the breaker open.
    #[error("the circuit breaker is held open")]
    ForcedOpen,
    /// The breaker is half-open and all its probes are out.
    #[error("the circuit breaker is half-open and its {probes_max} probes are out")]
    HalfOpen {
        /// How many probes one half-open life has.
        probes_max: u16,
    },
    /// As many calls are in flight as the limit allows.
    #[error("{in_flight} calls are in flight, the limit is {limit}")]
    Limited {
        /// Calls in flight.
        in_flight: u32,
        /// The limit at that moment.
        limit: u32,
    },
    /// The adaptive throttle shed the call to spare an overloaded dependency.
    #[error(
        "shed by the adaptive throttle: the dependency accepted {accepted} of {requests} requests"
    )]
    Throttled {
        /// Requests in the throttle's window.
        requests: u32,
        /// Those that the dependency accepted.
        accepted: u32,
    },
}

impl Rejected {
    /// Whether the same call may succeed later. It always may, unless an
    /// operator holds the breaker open.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::ForcedOpen)
    }

    /// How long to wait before the next try, if that is known. Reads the clock.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Open { reopens } => Some(reopens.remaining()),
            _ => None,
        }
    }
}

/// When an open breaker lets a probe pass. Reads no clock until it is asked,
/// because refusing must be cheap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReopensAt {
    pub(crate) clock: Clock,
    pub(crate) at_ns: u64,
}

impl ReopensAt {
    /// Time until then; zero if it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Duration::from_nanos(self.at_ns.saturating_sub(self.clock.now_ns()))
    }
}

/// What a guarded call returns when it does not return a value.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The call was not let through.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The call was let through and failed.
    #[error("the guarded call failed")]
    Inner(#[source] E),
}

impl<E> CallError<E> {
    /// Whether the call was refused without touching the dependency, and may
    /// be tried again. What an inner error means is its owner's to say.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Rejected(rejected) if rejected.is_retryable())
    }

    /// The dependency's own error, if the call reached it.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Inner(error) => Some(error),
            Self::Rejected(_) => None,
        }
    }
}
