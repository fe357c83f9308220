//! The second tier: what servers on one database share by Redis.
//!
//! Redis is asked for answers and never for what is true. Each answer says at which place of the
//! store's log it was so, and is used only if this process knows from that log, which it has just
//! followed, that the place is a part of what has happened and that nothing has changed the answer
//! since. So it does not matter what Redis has lost, kept too long or been restored to.

mod config;
mod record;
mod stats;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use mcp_breaker::{Breaker, CallError, Observer, State, Transition, Verdict};
use mcp_cache::{ConfigError, RedisStore, RemoteError, remote::RemoteStore};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};

pub(super) use self::writer::{Offer, Writer};
pub use self::{config::SharedConfig, stats::SharedStats};
use self::{
    record::{Record, name},
    stats::Counters,
};
use super::{
    follower::Follower,
    standing::{Rules, Standing, Stored},
};
use crate::memory::{Memory, MemoryId, search::Query};

/// What others have read, as far as it still is so.
pub(super) struct Shared {
    store: Arc<dyn RemoteStore>,
    breaker: Breaker,
    deadline: Duration,
    ttl: Duration,
    value_bytes_max: usize,
    counters: Counters,
    /// Why it failed last.
    trouble: Mutex<String>,
}

/// Tells the log when Redis is left alone, and when it is back.
struct Herald;

impl Observer for Herald {
    fn on_transition(&self, transition: &Transition) {
        match transition.to {
            State::Open => tracing::warn!("Redis fails and is left alone for a while"),
            State::Closed => tracing::info!("Redis is used again"),
            _ => {}
        }
    }
}

impl Shared {
    /// Connects to nothing yet.
    pub(super) fn new(config: &SharedConfig) -> Result<Self, ConfigError> {
        let refused = |error: RemoteError| {
            tracing::error!(%error, "Redis cannot be used");
            ConfigError {
                field: "redis",
                reason: "its endpoints or certificates cannot be used; the log says why",
            }
        };
        let breaker = Breaker::with_observer(&config.breaker(), Arc::new(Herald));
        Ok(Self {
            store: Arc::new(RedisStore::new(&config.redis()).map_err(refused)?),
            breaker: breaker.map_err(|_| ConfigError {
                field: "redis",
                reason: "failure_threshold or pause make no sense",
            })?,
            deadline: config.deadline,
            ttl: config.ttl,
            value_bytes_max: config.value_bytes_max.get(),
            counters: Counters::default(),
            trouble: Mutex::default(),
        })
    }

    /// The counters at this moment.
    pub(super) fn stats(&self, changes_known: usize) -> SharedStats {
        self.counters
            .snapshot(self.breaker.stats(), changes_known as u64)
    }

    /// Asks Redis for nothing in particular; why it does not answer.
    pub(super) async fn check(&self) -> Result<(), String> {
        match self.ask("").await {
            Ok(_) => Ok(()),
            Err(()) => Err(self.trouble()),
        }
    }

    fn trouble(&self) -> String {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        format!("Redis is not used: {trouble}")
    }

    /// A memory that somebody has read and nobody has changed since.
    pub(super) async fn memory(
        &self,
        key: &str,
        id: &MemoryId,
        follower: &Follower,
    ) -> Option<Arc<Memory>> {
        let record = self.look::<Arc<Memory>>(key).await?;
        let is_so = follower.with_past(|view| Some(view.past.stands(id, record.at())));
        let stands = record.answer.id == *id && is_so == Some(true);
        self.counters.judged(stands);
        stands.then_some(record.answer)
    }

    /// A search that somebody has run, brought up to date.
    pub(super) async fn search(
        &self,
        key: &str,
        query: &Arc<Query>,
        (rules, ttl): (Rules, Duration),
        follower: &Follower,
    ) -> Option<Standing> {
        let record = self.look::<Stored>(key).await?;
        let at = record.at();
        let left = Duration::from_millis(record.left_ms().unsigned_abs()).min(ttl);
        let followed = || {
            let of_place = record.answer.upto() == at.sequence;
            let standing = Standing::restored(record.answer, query.clone(), Instant::now() + left);
            let standing = standing.filter(|_| of_place)?;
            follower.with_past(|view| match view.past.knows(at) {
                true => standing.follow(view.recent, rules),
                false => None,
            })
        };
        let standing = followed();
        self.counters.judged(standing.is_some());
        standing
    }

    async fn look<T: Serialize + DeserializeOwned>(&self, key: &str) -> Option<Record<T>> {
        let Some(bytes) = self.ask(key).await.ok()? else {
            self.counters.absent();
            return None;
        };
        let record = Record::decode(&bytes, key);
        if record.is_none() {
            self.counters.judged(false);
        }
        record
    }

    /// What is kept under `key`. An error is noted, and nobody's.
    async fn ask(&self, key: &str) -> Result<Option<Bytes>, ()> {
        let names = [name(key)];
        let mut found = self
            .guarded(self.deadline, || self.store.get(&names))
            .await?;
        Ok(found.records.pop().flatten())
    }

    /// Stores what is encoded.
    async fn keep(&self, records: &[(Bytes, Bytes, Duration)]) {
        let stored = self
            .guarded(writer::PATIENCE, || self.store.set(records))
            .await;
        let len = records.len() as u64;
        match stored {
            Ok(()) => self.counters.stored(len),
            Err(()) => self.counters.dropped(len),
        }
    }

    async fn guarded<T, F>(&self, limit: Duration, ask: impl FnOnce() -> F) -> Result<T, ()>
    where
        F: Future<Output = Result<T, RemoteError>>,
    {
        let late = RemoteError::DeadlineExceeded { limit };
        let asked = async || timeout(limit, ask()).await.unwrap_or(Err(late));
        let judge = |result: &Result<T, RemoteError>| match result {
            Ok(_) => Verdict::SUCCESS,
            Err(_) => Verdict::FAILURE,
        };
        let answer = self.breaker.call_with(&judge, asked).await;
        answer.map_err(|error| match error {
            CallError::Inner(error) => {
                self.counters.failed();
                tracing::debug!(%error, "Redis does not answer");
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            }
            _ => self.counters.left_alone(),
        })
    }
}
