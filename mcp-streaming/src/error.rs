//! Why an event was not taken in, and why a stream ended.

use serde::Serialize;
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

/// Whose limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// One stream's.
    Stream,
    /// A session's, by its streams together.
    Session,
    /// The budget of all streams.
    Budget,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Session => "session",
            Self::Budget => "budget",
        })
    }
}

/// A byte limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("resource exhausted: the {scope} uses {used} of {limit} bytes")]
pub struct ResourceExhausted {
    /// Whose limit.
    pub scope: Scope,
    /// Bytes in use.
    pub used: u64,
    /// Bytes allowed.
    pub limit: u64,
}

impl ResourceExhausted {
    /// Whether it may pass: it does, when readers read.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        true
    }
}

/// Why an event was not taken in. It is not in the stream, and will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no room, or others wait for it already.
    #[error(transparent)]
    Exhausted(#[from] ResourceExhausted),
    /// There was no room for as long as the stream's policy waits.
    #[error("no room after {waited:?}: {exhausted}")]
    Stalled {
        /// How long the writer waited.
        waited: Duration,
        /// Which limit it waited for.
        #[source]
        exhausted: ResourceExhausted,
    },
    /// The event alone weighs more than the stream may hold.
    #[error("an event of {weight} bytes in a stream of at most {limit}")]
    TooLarge {
        /// What it weighs: payload, key and
        /// [`EVENT_OVERHEAD_BYTES`](crate::EVENT_OVERHEAD_BYTES).
        weight: u64,
        /// The most that it may weigh.
        limit: u64,
    },
    /// The stream has ended.
    #[error("the stream has ended: {0}")]
    Ended(EndReason),
}

impl SendError {
    /// Whether the same event may be taken in later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Exhausted(_) | Self::Stalled { .. })
    }
}

/// Why a stream ended. All but [`Finished`](EndReason::Finished) are told to
/// the reader as [`Event::Ended`](crate::Event::Ended).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The writer said that it is whole.
    #[error("finished")]
    Finished,
    /// The last writer went away without saying that the stream is whole.
    #[error("the writer went away")]
    WriterLost,
    /// The reader went away, and the stream keeps no history.
    #[error("the reader went away")]
    ReaderLost,
    /// A newer reader took this one's place, and gets what this one has not
    /// handed on. The stream goes on.
    #[error("another reader took over")]
    Replaced,
    /// The reader did not keep up, and the stream's policy is to disconnect.
    #[error("the reader did not keep up")]
    SlowConsumer,
    /// The budget, or its session, was full, and this stream was the worst that
    /// stood still.
    #[error("ended to free memory for others")]
    Stalled,
    /// It was not used for its idle time.
    #[error("not used for its idle time")]
    Idle,
    /// Its session was never initialized.
    #[error("its session was not initialized in time")]
    NotInitialized,
    /// Its session reached its life-time.
    #[error("its session reached its life-time")]
    LifeTime,
    /// It, or its session, made room for a newer one.
    #[error("it or its session made room for a newer one")]
    Evicted,
    /// Its session was closed.
    #[error("its session was closed")]
    Closed,
}

impl EndReason {
    /// Whether what was written before is still read.
    pub(crate) fn drains(self) -> bool {
        matches!(self, Self::Finished | Self::WriterLost)
    }
}

/// What stops a stream's reader that cannot be told in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// Events are missing.
    #[error("{missed} events are missing")]
    Gap {
        /// How many.
        missed: u64,
    },
    /// The stream ended, and is not whole.
    #[error("the stream ended: {0}")]
    Ended(EndReason),
}
