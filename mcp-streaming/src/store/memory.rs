//! A store in this process, for tests, and for a server that lives alone.

use super::{EventStore, OutOfTurn, Page, StoreError, StreamKey};
use crate::{
    ConfigError, EVENT_OVERHEAD_BYTES, SessionId,
    config::{check, check_bytes},
};
use async_trait::async_trait;
use bytes::Bytes;
use lru::LruCache;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};
use thiserror::Error;

/// What a [`MemoryStore`] can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryStoreConfig {
    /// Bytes kept of one stream; the oldest events go first, and the newest stays
    /// even if it alone is larger. Default 1 MiB.
    pub stream_bytes_max: u64,
    /// Bytes kept in all; the stream that was not used for longest goes first, and
    /// an event that alone is larger is refused. Default 64 MiB.
    pub bytes_max: u64,
}

impl Default for MemoryStoreConfig {
    fn default() -> Self {
        Self {
            stream_bytes_max: 1 << 20,
            bytes_max: 64 << 20,
        }
    }
}

impl MemoryStoreConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_bytes(self.stream_bytes_max, "stream_bytes_max")?;
        check_bytes(self.bytes_max, "bytes_max")?;
        check(
            self.stream_bytes_max <= self.bytes_max,
            "stream_bytes_max",
            "must be at most bytes_max",
        )
    }
}

/// Keeps events in memory of its own, outside of any [`Budget`](crate::Budget).
pub struct MemoryStore {
    config: MemoryStoreConfig,
    kept: Mutex<Kept>,
}

struct Kept {
    streams: LruCache<StreamKey, Log>,
    bytes: u64,
}

#[derive(Default)]
struct Log {
    first: u64,
    events: VecDeque<Bytes>,
    bytes: u64,
}

#[derive(Debug, Error)]
#[error("an event of {weight} bytes in a store of at most {limit}")]
struct TooLarge {
    weight: u64,
    limit: u64,
}

fn weight(data: &Bytes) -> u64 {
    data.len() as u64 + EVENT_OVERHEAD_BYTES
}

impl Log {
    fn next(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }

    fn put(&mut self, seq: u64, data: Bytes, bytes_max: u64) -> Result<(), OutOfTurn> {
        if self.events.is_empty() {
            self.first = seq;
        }
        if seq > self.next() || seq < self.first {
            return Err(OutOfTurn { seq });
        }
        while self.next() > seq {
            self.bytes -= self.events.pop_back().as_ref().map_or(0, weight);
        }
        self.bytes += weight(&data);
        self.events.push_back(data);
        while self.bytes > bytes_max && self.events.len() > 1 {
            self.bytes -= self.events.pop_front().as_ref().map_or(0, weight);
            self.first += 1;
        }
        Ok(())
    }

    fn read_after(&self, after: u64, bytes_max: u64) -> Page {
        let wanted = after.saturating_add(1);
        let from = wanted.max(self.first);
        let skip = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        let mut page = Page {
            missed: from - wanted,
            events: Vec::new(),
            is_last: true,
        };
        let mut bytes = 0;
        for (seq, data) in (from..).zip(self.events.iter().skip(skip)) {
            bytes += weight(data);
            if bytes > bytes_max && !page.events.is_empty() {
                page.is_last = false;
                break;
            }
            page.events.push((seq, data.clone()));
        }
        page
    }
}

impl MemoryStore {
    /// An empty store.
    ///
    /// # Errors
    /// A field of the configuration makes no sense.
    pub fn new(config: &MemoryStoreConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config: config.clone(),
            kept: Mutex::new(Kept {
                streams: LruCache::unbounded(),
                bytes: 0,
            }),
        })
    }

    /// Bytes kept now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, key: &StreamKey, seq: u64, data: Bytes) -> Result<(), StoreError> {
        let (weight, limit) = (weight(&data), self.config.bytes_max);
        if weight > limit {
            return Err(StoreError {
                source: TooLarge { weight, limit }.into(),
                is_retryable: false,
            });
        }
        let mut kept = self.lock();
        let log = kept.streams.get_or_insert_mut(key.clone(), Log::default);
        let before = log.bytes;
        log.put(seq, data, self.config.stream_bytes_max)?;
        let now = log.bytes;
        kept.bytes = kept.bytes + now - before;
        while kept.bytes > self.config.bytes_max && kept.streams.len() > 1 {
            let gone = kept.streams.pop_lru();
            kept.bytes -= gone.map_or(0, |(_, log)| log.bytes);
        }
        Ok(())
    }

    async fn read_after(
        &self,
        key: &StreamKey,
        after: u64,
        bytes_max: u64,
    ) -> Result<Option<Page>, StoreError> {
        let mut kept = self.lock();
        let log = kept.streams.get(key).filter(|log| after < log.next());
        Ok(log.map(|log| log.read_after(after, bytes_max)))
    }

    async fn remove(&self, owner: &str, session: &SessionId) -> Result<(), StoreError> {
        let mut kept = self.lock();
        let is_gone = |key: &StreamKey| *key.owner == *owner && key.session == *session;
        let keys = kept.streams.iter().map(|(key, _)| key);
        let gone: Vec<StreamKey> = keys.filter(|key| is_gone(key)).cloned().collect();
        for key in gone {
            kept.bytes -= kept.streams.pop(&key).map_or(0, |log| log.bytes);
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("config", &self.config)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
