//! Why a tool call failed.

use crate::{context::ContextError, memory::MemoryError, upstream::UpstreamError};

/// Why a tool call failed; the text is meant for the model or person that called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The arguments are not what the tool's schema asks for.
    #[error("invalid arguments: {reason}")]
    Arguments {
        /// Where and what.
        reason: String,
    },
    /// The memory service refused or failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The context service refused or failed.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// An upstream gave no answer.
    #[error("connector `{connector}`: {source}")]
    Upstream {
        /// Its connector's name.
        connector: String,
        /// Why.
        source: UpstreamError,
    },
    /// It does one thing at a time, and is at it.
    #[error("{reason}")]
    Busy {
        /// What it is at.
        reason: String,
    },
    /// A bug in this program.
    #[error("internal error: {reason}")]
    Internal {
        /// What broke.
        reason: String,
    },
}

impl ToolError {
    /// A stable, machine-readable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Arguments { .. } => "invalid_argument",
            Self::Memory(error) => error.code(),
            Self::Context(error) => error.code(),
            Self::Upstream { source, .. } => source.code(),
            Self::Busy { .. } => "overloaded",
            Self::Internal { .. } => "internal",
        }
    }

    /// Whether it says something of the call, and nothing of the server or of what it depends on.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        matches!(
            self.code(),
            "invalid_argument"
                | "not_found"
                | "version_conflict"
                | "answer_too_large"
                // Another server's own answer.
                | "upstream_error"
        )
    }

    /// Whether it is certain that the call has changed nothing.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        match self {
            Self::Memory(error) | Self::Context(ContextError::Store(error)) => !matches!(
                error,
                MemoryError::OutcomeUnknown { .. } | MemoryError::Internal { .. }
            ),
            Self::Upstream { source, .. } => source.changed_nothing(),
            Self::Arguments { .. } | Self::Context(_) | Self::Busy { .. } => true,
            Self::Internal { .. } => false,
        }
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Memory(error) => error.is_retryable(),
            Self::Context(error) => error.is_retryable(),
            Self::Upstream { source, .. } => source.is_retryable(),
            Self::Busy { .. } => true,
            Self::Arguments { .. } | Self::Internal { .. } => false,
        }
    }
}
