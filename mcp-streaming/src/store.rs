//! Events kept outside of a stream, for another instance or a later life of the
//! process to go on with.

use crate::{EventId, SendError, SessionId, Tx, id::Origin};
use async_trait::async_trait;
use bytes::Bytes;
use std::{fmt, sync::Arc};
use thiserror::Error;

mod memory;
mod recorder;
#[cfg(feature = "redis")]
mod redis;
mod replay;

pub use memory::{MemoryStore, MemoryStoreConfig};
pub use recorder::Recorder;
#[cfg(feature = "redis")]
pub use redis::{RedisStore, RedisStoreConfig};
pub use replay::Replay;

/// Where a stream's events are kept: under the owner, so that who asks with
/// another one finds nothing, the session, and the process that began the stream,
/// so that two instances never write to one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Whose session it is.
    pub owner: Arc<str>,
    /// The session.
    pub session: SessionId,
    pub(crate) origin: Origin,
}

impl StreamKey {
    /// The key of the stream that an event is of.
    pub fn of_event(owner: impl Into<Arc<str>>, session: SessionId, event: &EventId) -> Self {
        Self {
            owner: owner.into(),
            session,
            origin: event.origin,
        }
    }

    /// The stream's name, for a store of your own: that of an event without its
    /// number, `5f3a91c0-9d2-1`.
    #[must_use]
    pub fn stream(&self) -> String {
        self.origin.to_string()
    }
}

/// Some events of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many events are gone between the one that was asked for and the
    /// first one here.
    pub missed: u64,
    /// Events with their numbers, which grow by one.
    pub events: Vec<(u64, Bytes)>,
    /// Whether there was nothing behind them.
    pub is_last: bool,
}

/// A number is out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("event {seq} does not follow on the stored stream")]
pub struct OutOfTurn {
    /// The number.
    pub seq: u64,
}

impl From<OutOfTurn> for StoreError {
    fn from(error: OutOfTurn) -> Self {
        Self {
            source: error.into(),
            is_retryable: false,
        }
    }
}

/// The store could not do it.
#[derive(Debug, Error)]
#[error("the event store failed")]
pub struct StoreError {
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether it may go another time.
    pub is_retryable: bool,
}

/// Keeps events, within bounds of its own.
#[async_trait]
pub trait EventStore: Send + Sync + fmt::Debug {
    /// Keeps an event. Doing it twice with the same number keeps the later one.
    /// A number that follows on none that is kept is refused, not taken for a new
    /// beginning: somebody else writes to the stream.
    ///
    /// # Errors
    /// It is not known to be kept.
    async fn append(&self, key: &StreamKey, seq: u64, data: Bytes) -> Result<(), StoreError>;

    /// The events behind the number `after`, up to about `bytes_max` and at
    /// least one if there is any. `None`: there is no such stream, or no more.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn read_after(
        &self,
        key: &StreamKey,
        after: u64,
        bytes_max: u64,
    ) -> Result<Option<Page>, StoreError>;

    /// Lets go of all streams of a session.
    ///
    /// # Errors
    /// They are not known to be gone.
    async fn remove(&self, owner: &str, session: &SessionId) -> Result<(), StoreError>;
}

/// Why an event was not recorded and sent, or a replay did not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The store failed. The event was not sent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream did not take it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The stream has another writer, so that numbers would not agree.
    #[error("the stream has {writers} writers")]
    Shared {
        /// How many.
        writers: u32,
    },
    /// Somebody else wrote to the stream in between. The event is in it under
    /// another number than in the store, and the stream was ended.
    #[error("the event was stored as {stored} and sent as {sent}")]
    Overtaken {
        /// Its number in the store.
        stored: u64,
        /// Its number in the stream.
        sent: u64,
    },
    /// Events vanished from the store while they were read.
    #[error("{missed} events vanished from the store during the replay")]
    Vanished {
        /// How many.
        missed: u64,
    },
    /// The store has no such stream.
    #[error("no such stream is stored")]
    Unknown,
}

impl RecordError {
    /// Whether it may go another time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable,
            Self::Send(error) => error.is_retryable(),
            Self::Shared { .. }
            | Self::Overtaken { .. }
            | Self::Vanished { .. }
            | Self::Unknown => false,
        }
    }
}

/// The number that the next event of a stream will have, if it has one writer.
fn next_seq(tx: &Tx) -> Result<u64, RecordError> {
    let stats = tx.stats();
    match stats.writers {
        1 => Ok(stats.next_id.seq()),
        writers => Err(RecordError::Shared { writers }),
    }
}
