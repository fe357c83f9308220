//! What can go wrong with a memory operation, in words that say what to do.

use super::MemoryId;

/// Why a memory operation failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// An argument is outside its limits.
    #[error("{field}: {reason}")]
    Invalid {
        /// The argument, as the caller named it.
        field: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The caller owns no such memory; it never existed, was deleted or has expired.
    #[error("no memory has the id `{id}`: it was deleted, has expired, or never existed")]
    NotFound {
        /// The id that was asked for.
        id: MemoryId,
    },
    /// The caller's version is not the stored one.
    #[error(
        "memory `{id}` is at version {actual}, not {expected}: read it again and repeat the update"
    )]
    VersionConflict {
        /// The memory.
        id: MemoryId,
        /// The version the caller expected.
        expected: u64,
        /// The version in the store.
        actual: u64,
    },
    /// The store's queue is full; nothing was done.
    #[error("the memory store has {waiting} operations waiting and takes no more: try again later")]
    Overloaded {
        /// How many operations were waiting.
        waiting: usize,
    },
    /// The database refused or could not be reached; nothing was acknowledged.
    #[error("the memory store failed: {reason}; nothing was changed, it is safe to try again")]
    Unavailable {
        /// The database's own words.
        reason: String,
    },
    /// The time that an operation may take was over; nothing was acknowledged.
    #[error(
        "the memory store did not finish in time and gave up: nothing was changed, it is safe to \
         try again"
    )]
    Timeout,
    /// Whether a write was stored is not known: the disk failed while it was made durable, or the
    /// store did not say in time.
    #[error(
        "{reason}: the change may or may not have been stored. Repeating the same call is safe: \
         what is added again unchanged within ten minutes is stored once"
    )]
    OutcomeUnknown {
        /// The database's own words, or what was waited for.
        reason: String,
        /// Whether nothing is known to have failed: the store only took too long.
        late: bool,
    },
    /// What was asked for does not fit into one answer beside the rest of its batch.
    #[error("the answer would be larger than {bytes_max} bytes: ask for less at once")]
    AnswerTooLarge {
        /// The bound, in bytes of stored text.
        bytes_max: usize,
    },
    /// The search index is being made, or made again; everything else goes on.
    #[error("the search index is not ready, it has read {read} of {of}: try again in a moment")]
    IndexNotReady {
        /// How many memories, or changes of memories, it has read.
        read: u64,
        /// How many there are to read.
        of: u64,
    },
    /// A bug in this program; the operation was rolled back.
    #[error("internal error in the memory store: {reason}")]
    Internal {
        /// What broke.
        reason: String,
    },
}

impl MemoryError {
    /// A stable, machine-readable name of the variant.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_argument",
            Self::NotFound { .. } => "not_found",
            Self::VersionConflict { .. } => "version_conflict",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout => "timeout",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::AnswerTooLarge { .. } => "answer_too_large",
            Self::IndexNotReady { .. } => "index_not_ready",
            Self::Internal { .. } => "internal",
        }
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::Unavailable { .. }
                | Self::Timeout
                | Self::OutcomeUnknown { .. }
                | Self::IndexNotReady { .. }
        )
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}
