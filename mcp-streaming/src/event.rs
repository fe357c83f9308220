//! What a reader gets.

use crate::{EndReason, EventId};
use bytes::Bytes;

/// One item of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// What a writer sent.
    Message {
        /// Its id.
        id: EventId,
        /// Its payload.
        data: Bytes,
    },
    /// Events are missing here: they made room for newer ones.
    Gap {
        /// How many.
        missed: u64,
    },
    /// The stream ended, and is not whole. Nothing comes after this.
    Ended(EndReason),
}
