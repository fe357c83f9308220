//! A memory store behind a cache that is never stale.
//!
//! Every read first looks whether anything was committed since the last look, by any process, and
//! has the cache follow those changes before it asks it. A memory that was changed is forgotten, or
//! replaced by what it has become. A search that was kept is not thrown away: it is brought up to
//! date by evaluating only what has changed since it was run.

mod clearing;
mod config;
mod copies;
mod follower;
mod key;
mod loads;
mod past;
mod shared;
mod standing;
mod stats;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use mcp_cache::{Cache, CacheEventBus, ConfigError};
use tokio::time::{Duration, Instant};

pub use config::CacheConfig;
pub use shared::{SharedConfig, SharedStats};
pub use stats::CachedStats;

use self::{
    copies::{Copies, loaded_search, now_ms},
    follower::{Follower, Since},
    loads::{OFFERED_EVERY, Tier},
    shared::{Shared, Writer},
    standing::Rules,
    stats::Counters,
    value::Value,
};
use crate::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Search,
        Update, Updated, search::Query,
    },
    monitoring::DependencyKind,
    ports::{ChangeFeed, MemoryStore, Readiness},
};

/// A [`MemoryStore`] that answers reads from memory where it can. A write that was acknowledged, by
/// whichever process, is seen by every read that begins afterwards.
///
/// When the changes cannot be followed, reads go past the cache.
pub struct CachedStore {
    store: Arc<dyn MemoryStore>,
    copies: Arc<Copies>,
    /// What is shared with other processes, if anything is.
    shared: Option<Tier>,
    counters: Counters,
    answer_bytes_max: usize,
    timeout: Option<Duration>,
}

impl std::fmt::Debug for CachedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedStore")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl CachedStore {
    /// A cache in front of `store`, whose changes `feed` tells. They are announced on `bus`, which
    /// also invalidates. An answer from the cache holds at most `answer_bytes_max` bytes of stored
    /// text, as the store's own.
    ///
    /// # Errors
    ///
    /// As [`CacheConfig::validate`].
    pub fn new(
        store: Arc<dyn MemoryStore>,
        feed: Arc<dyn ChangeFeed>,
        bus: &CacheEventBus,
        answer_bytes_max: usize,
        config: &CacheConfig,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let weigh = |key: &String, value: &Value| key.capacity() as u64 + value.bytes();
        let cache = Cache::weighing(&config.cache(), weigh)
            .epochs(bus.epochs().clone())
            .build()?;
        let copies = Arc::new(Copies {
            cache,
            follower: Follower::new(feed, bus.clone(), config),
            ttl: config.ttl,
            rules: Rules {
                spares: config.spare_matches as usize,
                drift_max: config.drift_max,
            },
        });
        let redis = &config.redis;
        let shared = match redis.enabled {
            true => {
                let shared = Arc::new(Shared::new(redis)?);
                let queue_len_max = redis.queue_len_max.get();
                let writer = Writer::start(shared.clone(), copies.clone(), queue_len_max);
                let writer = Arc::new(writer);
                Some(Tier { shared, writer })
            }
            false => None,
        };
        Ok(Self {
            store,
            copies,
            shared,
            counters: Counters::default(),
            answer_bytes_max,
            timeout: None,
        })
    }

    /// Counts the time that reads may take from when they ask the cache, not only the store.
    #[must_use]
    pub fn answering_within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The call with its deadline.
    fn timed(&self, call: &Call) -> Call {
        let mut call = call.clone();
        if call.deadline.is_none() {
            call.deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        }
        call
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> CachedStats {
        self.counters.snapshot(&self.copies.cache.stats())
    }

    /// Whether anything is shared with other processes.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The counters of what is shared with other processes; `None` if nothing is.
    #[must_use]
    pub fn shared_stats(&self) -> Option<SharedStats> {
        let known = self.copies.follower.past_len();
        self.shared.as_ref().map(|tier| tier.shared.stats(known))
    }

    /// The moment before a look, for what may be offered to other processes after it.
    fn since(&self) -> Option<Since> {
        self.shared
            .as_ref()
            .and_then(|_| self.copies.follower.since())
    }

    /// The counters of the cache itself, whose look-ups are parts of calls.
    #[must_use]
    pub fn cache_stats(&self) -> mcp_cache::CacheStats {
        self.copies.cache.stats()
    }

    /// Has the cache follow all changes, and returns the last one. `None`: go past the cache.
    async fn followed(&self, call: &Call) -> Option<i64> {
        if call.bypass_cache {
            self.counters.bypassed.add_one();
            return None;
        }
        match self.copies.follow().await {
            Ok(upto) => Some(upto),
            Err(error) => {
                tracing::debug!(%error, "the cache is passed by");
                self.counters.bypassed.add_one();
                None
            }
        }
    }

    /// A search from the cache that has seen the change `upto`, and its bytes of stored text.
    fn kept_search(&self, key: &str, upto: i64) -> Option<(Found, usize)> {
        // Before the look, so that what is cleared meanwhile is not put back.
        let (ticket, since) = (self.copies.cache.ticket(), self.since());
        let Some(Value::Search(standing)) = self.copies.cache.try_get(key) else {
            return None;
        };
        if standing.upto() >= upto {
            return standing.answer(now_ms(), self.answer_bytes_max);
        }
        let mut standing = self.copies.brought_up_to_date(&standing)?;
        self.counters.followed.add_one();
        let answer = standing.answer(now_ms(), self.answer_bytes_max);
        let left = standing.until().saturating_duration_since(Instant::now());
        let due = self.shared.is_some() && standing.is_to_be_offered(OFFERED_EVERY);
        let standing = Arc::new(standing);
        if due && let (Some(tier), Some(since)) = (&self.shared, since) {
            tier.offer_search(key, since, &standing);
        }
        let value = loaded_search(standing, left);
        self.copies.cache.put_since(ticket, key.to_owned(), value);
        answer
    }

    /// All answers of a batch of reads, if they are in the cache and fit into one answer.
    fn kept_batch(
        &self,
        call: &Call,
        operations: &[Operation],
        upto: i64,
    ) -> Option<Vec<Result<Outcome, MemoryError>>> {
        let mut left = self.answer_bytes_max;
        let outcomes = operations.iter().map(|operation| {
            let (outcome, bytes) = match operation {
                Operation::Get(get) => {
                    let key = key::of_memory(&call.owner, &get.id);
                    let (kept, _) = self.copies.kept_memory(&key)?;
                    (Outcome::Memory(kept.memory), kept.bytes)
                }
                Operation::Search(search) => {
                    let query = Query::new(&call.owner, search, now_ms())?;
                    let key = key::of_search(&call.owner, search, &query);
                    let (found, bytes) = self.kept_search(&key, upto)?;
                    (Outcome::Found(found), bytes)
                }
                _ => return None,
            };
            left = left.checked_sub(bytes)?;
            Some(Ok(outcome))
        });
        outcomes.collect()
    }
}

/// Whether the second tier is used; nobody needs it.
#[async_trait]
impl Readiness for CachedStore {
    fn name(&self) -> &'static str {
        "shared_cache"
    }

    fn kind(&self) -> DependencyKind {
        DependencyKind::Redis
    }

    fn is_essential(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        match &self.shared {
            Some(tier) => tier.shared.check().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl MemoryStore for CachedStore {
    async fn add(&self, call: &Call, add: Add) -> Result<Added, MemoryError> {
        self.store.add(call, add).await
    }

    async fn search(&self, call: &Call, search: Search) -> Result<Found, MemoryError> {
        let Some(query) = Query::new(&call.owner, &search, now_ms()) else {
            return self.store.search(call, search).await;
        };
        let call = &self.timed(call);
        let Some(upto) = self.followed(call).await else {
            return self.store.search(call, search).await;
        };
        let key = key::of_search(&call.owner, &search, &query);
        if let Some((found, _)) = self.kept_search(&key, upto) {
            self.counters.hit(call);
            return Ok(found);
        }
        self.counters.misses.add_one();
        self.load_search(call, (search, query), &key, upto).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Memory>, MemoryError> {
        let call = &self.timed(call);
        if self.followed(call).await.is_none() {
            return self.store.get(call, get).await;
        }
        let key = key::of_memory(&call.owner, &get.id);
        let since = self.since();
        if let Some((kept, offered)) = self.copies.kept_memory(&key) {
            if let (Some(tier), Some(since)) = (&self.shared, since)
                && offered.is_due()
            {
                tier.offer_memory(key, since, &kept.memory);
            }
            self.counters.hit(call);
            return Ok(kept.memory);
        }
        self.counters.misses.add_one();
        self.load_memory(call, get, &key).await
    }

    async fn update(&self, call: &Call, update: Update) -> Result<Updated, MemoryError> {
        self.store.update(call, update).await
    }

    async fn delete(&self, call: &Call, delete: Delete) -> Result<Deleted, MemoryError> {
        self.store.delete(call, delete).await
    }

    async fn batch(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<Vec<Result<Outcome, MemoryError>>, MemoryError> {
        let call = &self.timed(call);
        if operations.iter().all(Operation::is_read)
            && let Some(upto) = self.followed(call).await
        {
            if let Some(outcomes) = self.kept_batch(call, &operations, upto) {
                self.counters.hit(call);
                return Ok(outcomes);
            }
            self.counters.misses.add_one();
        }
        self.store.batch(call, operations).await
    }
}
