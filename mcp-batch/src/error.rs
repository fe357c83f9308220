//! Why an item has no result.

use std::time::Duration;
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

/// Why an item has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The queue is full; the item was not taken in.
    #[error("overloaded: {limit} items wait already")]
    Overloaded {
        /// How many items may wait.
        limit: usize,
    },
    /// The item gave its place in a full queue to a newer one.
    #[error("shed for a newer item after {waited:?} in a full queue")]
    Shed {
        /// How long it had waited.
        waited: Duration,
    },
    /// The deadline passed. The item was not started, or its result comes too
    /// late.
    #[error("not answered by its deadline")]
    DeadlineExceeded,
    /// The processor is shut down; the item was not taken in.
    #[error("the batch processor is shut down")]
    Closed,
    /// The item was taken in, and the runtime ended before its batch did.
    #[error("the runtime ended before the batch did")]
    Abandoned,
    /// The batch function panicked. The item may or may not have had its effect.
    #[error("the batch function panicked")]
    Panicked,
    /// The batch function returned another number of results than it was given
    /// items, so that nobody knows whose they are.
    #[error("the batch function returned {returned} results for {expected} items")]
    Miscounted {
        /// Items of the batch.
        expected: usize,
        /// Results that came back.
        returned: usize,
    },
    /// The batch function's error for this item.
    #[error("the item failed")]
    Item(#[source] E),
}

impl<E> Error<E> {
    /// Whether the item was never started, and may succeed if it is submitted
    /// again. What an item's own error means is its owner's to say.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Overloaded { .. } | Self::Shed { .. })
    }

    /// The batch function's error, if there is one.
    pub fn into_item(self) -> Option<E> {
        match self {
            Self::Item(error) => Some(error),
            _ => None,
        }
    }
}
