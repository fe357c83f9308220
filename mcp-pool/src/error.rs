//! Why there is no connection.

use std::{sync::Arc, time::Duration};
use thiserror::Error;

/// A configuration that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why a connection could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The manager says so.
    #[error("{0}")]
    Manager(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took longer than [`connect_timeout`](crate::Config::connect_timeout).
    #[error("not connected within {limit:?}")]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// The pools of the set have as many connections as they may, and the connect
    /// waits for a place.
    #[error("no place is free under the cap of the set")]
    Capped,
    /// The manager panicked, or its runtime ended.
    #[error("the connect did not come to an end")]
    Aborted,
}

/// Why a checkout has no connection. Cheap to clone: many waiters may fail for
/// one cause.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Error {
    /// None was free in time.
    #[error(
        "no connection within {limit:?} ({in_use} in use, {opening} opening){}",
        because(cause.as_deref())
    )]
    Timeout {
        /// How long the caller was ready to wait.
        limit: Duration,
        /// Connections that were lent out at that moment.
        in_use: usize,
        /// Connections that were being made at that moment.
        opening: usize,
        /// Why the last connect failed, if none has worked since.
        #[source]
        cause: Option<Arc<Cause>>,
    },
    /// The manager calls the failure permanent, and no other connection is open.
    #[error("cannot connect: {cause}")]
    Connect {
        /// What the manager said.
        #[source]
        cause: Arc<Cause>,
    },
    /// As many callers wait as may.
    #[error("overloaded: {limit} callers wait already")]
    Overloaded {
        /// How many may wait.
        limit: usize,
    },
    /// No endpoint may serve: none is there, or no node says that it is the
    /// primary.
    #[error("no endpoint may serve")]
    Unavailable,
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
}

impl Error {
    /// Whether a later attempt may have a connection.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Overloaded { .. } | Self::Unavailable
        )
    }

    /// What the manager said, if a connect that failed has to do with it.
    #[must_use]
    pub fn manager_error<E: std::error::Error + 'static>(&self) -> Option<&E> {
        let cause = match self {
            Self::Timeout { cause, .. } => cause.as_deref()?,
            Self::Connect { cause } => cause,
            Self::Overloaded { .. } | Self::Unavailable | Self::Closed => return None,
        };
        match cause {
            Cause::Manager(error) => error.downcast_ref(),
            Cause::TimedOut { .. } | Cause::Capped | Cause::Aborted => None,
        }
    }
}

fn because(cause: Option<&Cause>) -> String {
    cause
        .map(|cause| format!("; the last connect failed: {cause}"))
        .unwrap_or_default()
}
