//! Why an upstream gave no answer.

use std::time::Duration;

use rmcp::ErrorData;

/// Why an upstream gave no answer; the text is meant for the model or person that called.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Its settings do not work.
    #[error("its settings do not work: {reason}")]
    Settings {
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// It cannot be reached, or the connection broke.
    #[error("it cannot be reached: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// Whether it is certain that it never saw the request.
        unsent: bool,
    },
    /// It wants other credentials (401, 403).
    #[error(
        "it refuses these credentials (HTTP {status}): correct them, then call connector_refresh"
    )]
    Unauthorized {
        /// The HTTP status.
        status: u16,
    },
    /// It is busy (429, 503).
    #[error("it is busy (HTTP {status})")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It did not answer in time.
    #[error("it did not answer within {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// What it says makes no sense.
    #[error("its answer makes no sense: {reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
    /// It failed too often and is left alone for now.
    #[error("it failed too often and is left alone for now: {reason}")]
    LeftAlone {
        /// By what, and for how long.
        reason: String,
    },
    /// As many calls as it may have are at work.
    #[error("{limit} calls of it are at work already: try again later")]
    Overloaded {
        /// How many may be.
        limit: usize,
    },
    /// The server's own error, as a message of the protocol.
    #[error("{}", .0.message)]
    Rpc(ErrorData),
    /// The connector was removed.
    #[error("the connector was removed or switched off")]
    Removed,
}

impl UpstreamError {
    /// A stable, machine-readable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "upstream_settings",
            Self::Unavailable { .. } => "upstream_unavailable",
            Self::Unauthorized { .. } => "upstream_unauthorized",
            Self::Busy { .. } => "upstream_busy",
            Self::Timeout { .. } => "upstream_timeout",
            Self::Protocol { .. } => "upstream_protocol",
            Self::LeftAlone { .. } => "upstream_left_alone",
            Self::Overloaded { .. } => "overloaded",
            Self::Rpc(_) => "upstream_error",
            Self::Removed => "upstream_removed",
        }
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::Busy { .. }
            | Self::Timeout { .. }
            | Self::LeftAlone { .. }
            | Self::Overloaded { .. } => true,
            Self::Settings { .. }
            | Self::Unauthorized { .. }
            | Self::Protocol { .. }
            | Self::Rpc(_)
            | Self::Removed => false,
        }
    }

    /// Whether it is certain that the upstream has done nothing.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        match self {
            Self::Unavailable { unsent, .. } => *unsent,
            Self::Timeout { .. } | Self::Protocol { .. } | Self::Rpc(_) => false,
            Self::Settings { .. }
            | Self::Unauthorized { .. }
            | Self::Busy { .. }
            | Self::LeftAlone { .. }
            | Self::Overloaded { .. }
            | Self::Removed => true,
        }
    }
}
