//! What can go wrong with a context operation, in words that say what to do.

use super::ContextId;
use crate::memory::MemoryError;

/// Why a context operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// An argument is outside its limits.
    #[error("{field}: {reason}")]
    Invalid {
        /// The argument, as the caller named it.
        field: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The caller owns no such context; it was never put or has expired.
    #[error("no context has the id `{id}`: it was never put, or has expired")]
    NotFound {
        /// The id that was asked for.
        id: ContextId,
    },
    /// The caller's version is not the stored one.
    #[error(
        "context `{id}` is at version {actual}, not {expected}: read it again and repeat the put"
    )]
    VersionConflict {
        /// The context.
        id: ContextId,
        /// The version the caller expected; 0: none.
        expected: u64,
        /// The version in the store; 0: none.
        actual: u64,
    },
    /// The store that memories and contexts share refused or failed.
    #[error(transparent)]
    Store(#[from] MemoryError),
}

impl ContextError {
    /// A stable, machine-readable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_argument",
            Self::NotFound { .. } => "not_found",
            Self::VersionConflict { .. } => "version_conflict",
            Self::Store(error) => error.code(),
        }
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            _ => false,
        }
    }

    pub(super) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}
