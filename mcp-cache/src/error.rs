//! Why a configuration was refused, and why there is no value.

use std::{sync::Arc, time::Duration};
use thiserror::Error;

/// A configuration that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} {reason}")]
pub struct ConfigError {
    /// The field's path, such as `adaptive.ttl_max`.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why there is no value.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The load failed, and there was no stale value that its class allows to be
    /// served. All who waited for the load share the error.
    #[error("the load failed")]
    Load(#[source] Arc<E>),
    /// The load took longer than its class allows, and was dropped.
    #[error("the load took longer than {limit:?}")]
    DeadlineExceeded {
        /// [`hard_deadline`](crate::ClassConfig::hard_deadline).
        limit: Duration,
    },
}

impl<E> Error<E> {
    /// Whether the same call may succeed later. What the load's own error means
    /// is its owner's to say.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::DeadlineExceeded { .. })
    }

    /// The load's own error, if there is one.
    #[must_use]
    pub fn into_load(self) -> Option<Arc<E>> {
        match self {
            Self::Load(error) => Some(error),
            Self::DeadlineExceeded { .. } => None,
        }
    }
}

impl<E> Clone for Error<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Load(error) => Self::Load(Arc::clone(error)),
            Self::DeadlineExceeded { limit } => Self::DeadlineExceeded { limit: *limit },
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
