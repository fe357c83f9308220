//! What a second tier asks of the service that it is built on.

use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use thiserror::Error;

/// Keeps records under keys, and stamps in numbered slots.
#[async_trait]
pub trait RemoteStore: Send + Sync {
    /// The records of `keys`, and the epoch, in one round trip. Both are as they
    /// were at some moments after the call.
    ///
    /// # Errors
    /// The service did not answer, or not so.
    async fn get(&self, keys: &[Bytes]) -> Result<Found, RemoteError>;

    /// The stamps of `slots` as they were at one moment after the call.
    ///
    /// # Errors
    /// The service did not answer, or not so.
    async fn stamps(&self, slots: &[u32]) -> Result<Stamped, RemoteError>;

    /// Stores records, each with its time to live. An error says that any part
    /// of them may be stored. Nobody waits for it but the one task that stores.
    ///
    /// # Errors
    /// The service did not answer, or not so.
    async fn set(&self, records: &[(Bytes, Bytes, Duration)]) -> Result<(), RemoteError>;
}

/// Numbers invalidations, stamps them, and tells all processes.
#[async_trait]
pub trait Backplane: Send + Sync {
    /// Asks for the epoch and the base; begins a new base if the service has
    /// lost or may have lost anything: it is another process than the one that
    /// made the base, it has none, its epoch is below `known`, or `force` asks
    /// for it. A new base is a number above all that were used, and is published
    /// as a message of its own with `forget` as its body. Called with every
    /// heartbeat, too.
    ///
    /// # Errors
    /// The service did not answer, or not so.
    async fn join(&self, known: u64, force: bool, forget: &[u8]) -> Result<Joined, RemoteError>;

    /// In one step that all processes see as one: raises the epoch by one,
    /// stamps `slots` with it, and publishes `body` under that number, which is
    /// returned. `None` if there is no base, or [`join`](Self::join) would begin a
    /// new one, and nothing was done.
    ///
    /// # Errors
    /// The service did not answer, or not so; it may have done it all the same.
    async fn publish(&self, slots: &[u32], body: &[u8]) -> Result<Option<u64>, RemoteError>;

    /// Listens. What is published after this returned comes through the feed, in
    /// order, or the feed ends; what is lost shows by a gap in the numbers.
    ///
    /// # Errors
    /// The service did not answer, or not so.
    async fn subscribe(&self) -> Result<Box<dyn Feed>, RemoteError>;
}

/// What one subscription hears.
#[async_trait]
pub trait Feed: Send {
    /// The next message and its number; `None` once the connection is lost.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    async fn next(&mut self) -> Option<(u64, Bytes)>;
}

/// What [`RemoteStore::get`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// A record or none for each key, in their order.
    pub records: Vec<Option<Bytes>>,
    /// The number of the last invalidation; `None` if it is lost.
    pub epoch: Option<u64>,
}

/// What [`RemoteStore::stamps`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamped {
    /// Records that were born below are dead; `None` if it is lost, and all are.
    pub base: Option<u64>,
    /// The number of the last invalidation of each slot, 0 for none, in the order
    /// of the slots.
    pub stamps: Vec<u64>,
}

/// What [`Backplane::join`] found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The number of the last invalidation.
    pub epoch: u64,
    /// Records that were born below are dead.
    pub base: u64,
}

/// Why the second tier has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The service cannot be reached, or the connection broke.
    #[error("the store cannot be reached: {reason}")]
    Unreachable {
        /// What the client says.
        reason: String,
    },
    /// The service answered with an error, or with what nobody expected.
    #[error("the store refused: {reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
    /// It took longer than [`RemoteConfig::deadline`](crate::RemoteConfig::deadline).
    #[error("the store did not answer within {limit:?}")]
    DeadlineExceeded {
        /// The deadline.
        limit: Duration,
    },
    /// Its epoch is lost or went back: it was restarted, flushed, or another one
    /// took over.
    #[error("the store has lost its epoch")]
    WentBack,
}

impl RemoteError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}
