//! A memory store behind a cache that is never stale.
//!
//! Every read first looks whether anything was committed since the last look, by any process, and
//! has the cache follow those changes before it asks it. A memory that was changed is forgotten, or
//! replaced by what it has become. A search that was kept is not thrown away: it is brought up to
//! date by evaluating only what has changed since it was run.

mod clearing;
mod config;
mod follower;
mod key;
mod standing;
mod stats;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mcp_cache::{Cache, CacheEventBus, ConfigError, Error, Fetch, Loaded, Source};
use tokio::time::{Duration, Instant};

pub use config::CacheConfig;
pub use stats::CachedStats;

use self::{
    follower::{EVERY_MEMORY, Follower, tag},
    standing::{Rules, Standing},
    stats::Counters,
    value::{Kept, Value},
};
use crate::{
    call::Call,
    memory::{
        Add, Added, Delete, Deleted, Found, Get, Memory, MemoryError, Operation, Outcome, Owner,
        Search, Update, Updated, search::Query,
    },
    ports::{ChangeFeed, MemoryStore},
};

/// A [`MemoryStore`] that answers reads from memory where it can. A write that was acknowledged, by
/// whichever process, is seen by every read that begins afterwards.
///
/// When the changes cannot be followed, reads go past the cache.
pub struct CachedStore {
    store: Arc<dyn MemoryStore>,
    cache: Cache<String, Value>,
    follower: Follower,
    counters: Counters,
    ttl: Duration,
    rules: Rules,
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
        Ok(Self {
            store,
            cache,
            follower: Follower::new(feed, bus.clone(), config),
            counters: Counters::default(),
            ttl: config.ttl,
            rules: Rules {
                spares: config.spare_matches as usize,
                drift_max: config.drift_max,
            },
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
        self.counters.snapshot(&self.cache.stats())
    }

    /// The counters of the cache itself, whose look-ups are parts of calls.
    #[must_use]
    pub fn cache_stats(&self) -> mcp_cache::CacheStats {
        self.cache.stats()
    }

    /// Has the cache follow all changes, and returns the last one. `None`: go past the cache.
    async fn followed(&self, call: &Call) -> Option<i64> {
        if call.bypass_cache {
            self.counters.bypassed.add_one();
            return None;
        }
        let keep = |owner: Owner, memory: &Memory| {
            let key = key::of_memory(&owner, &memory.id);
            // A copy, for searches hold the other and do not count what is written beside it.
            let kept = Kept::new(Arc::new(memory.clone()));
            if let Some(loaded) = loaded_memory(kept, self.ttl) {
                self.cache.put_since(self.cache.ticket(), key, loaded);
            }
        };
        match self.follower.catch_up(keep).await {
            Ok(upto) => Some(upto),
            Err(error) => {
                tracing::debug!(%error, "the cache is passed by");
                self.counters.bypassed.add_one();
                None
            }
        }
    }

    /// A memory from the cache.
    fn kept_memory(&self, key: &str) -> Option<Kept> {
        match self.cache.try_get(key) {
            Some(Value::Memory(kept)) if kept.is_alive(now_ms()) => Some(kept),
            _ => None,
        }
    }

    /// A search from the cache that has seen the change `upto`, and its bytes of stored text.
    fn kept_search(&self, key: &str, upto: i64) -> Option<(Found, usize)> {
        // Before the look, so that what is cleared meanwhile is not put back.
        let ticket = self.cache.ticket();
        let Some(Value::Search(standing)) = self.cache.try_get(key) else {
            return None;
        };
        if standing.upto() >= upto {
            return standing.answer(now_ms(), self.answer_bytes_max);
        }
        let standing = self.follow(&standing)?;
        self.counters.followed.add_one();
        let answer = standing.answer(now_ms(), self.answer_bytes_max);
        let left = standing.until().saturating_duration_since(Instant::now());
        let value = Loaded::new(Value::Search(Arc::new(standing))).ttl(left);
        self.cache.put_since(ticket, key.to_owned(), value);
        answer
    }

    fn follow(&self, standing: &Standing) -> Option<Standing> {
        let rules = self.rules;
        self.follower
            .with_recent(|recent| standing.follow(recent, rules))
    }

    async fn load_memory(
        &self,
        call: &Call,
        get: Get,
        key: &String,
    ) -> Result<Arc<Memory>, MemoryError> {
        let tag = tag(&get.id);
        let (store, owned, ttl) = (self.store.clone(), call.clone(), self.ttl);
        let wanted = get.clone();
        let load = async move || {
            let memory = store.get(&owned, wanted).await?;
            let kept = Kept::new(memory);
            let value = Value::Memory(kept.clone());
            Ok(loaded_memory(kept, ttl).unwrap_or_else(|| Loaded::new(value).not_kept()))
        };
        let tags = [tag.as_str()];
        let fetch = Fetch::new().tags(&tags);
        let answer = self.cache.get_or_fetch_with(key, fetch, load).await;
        match answer.map_err(own)?.value {
            Value::Memory(kept) if kept.is_alive(now_ms()) => Ok(kept.memory),
            // It has just expired: the store says so in its own words.
            _ => self.store.get(call, get).await,
        }
    }

    /// Runs the search, once for all who ask at once, and keeps it.
    async fn load_search(
        &self,
        call: &Call,
        (search, query): (Search, Query),
        key: &String,
        upto: i64,
    ) -> Result<Found, MemoryError> {
        let (store, owned) = (self.store.clone(), call.clone());
        let (query, ttl) = (Arc::new(query), self.ttl);
        let mut wider = search.clone();
        let asked = query.limit().saturating_add(self.rules.spares);
        wider.limit = Some(u32::try_from(asked).unwrap_or(u32::MAX));
        let load = async move || {
            let until = Instant::now() + ttl;
            let mut found = store.search(&owned, wider).await?;
            Ok(match Standing::new(query.clone(), &found, asked, until) {
                Some(standing) => Loaded::new(Value::Search(Arc::new(standing))),
                None => {
                    found.truncated |= found.memories.len() > query.limit();
                    found.memories.truncate(query.limit());
                    Loaded::new(Value::Once(Arc::new(found))).not_kept()
                }
            })
        };
        let fetch = Fetch::new().renew();
        let answer = self.cache.get_or_fetch_with(key, fetch, load).await;
        let answer = answer.map_err(own)?;
        // Somebody else's search may have begun before the changes that this one has to see.
        let own = answer.source == Source::Loaded;
        let found = match answer.value {
            Value::Search(standing) if own || standing.upto() >= upto => {
                standing.answer(now_ms(), self.answer_bytes_max)
            }
            Value::Search(standing) => self
                .follow(&standing)
                .and_then(|standing| standing.answer(now_ms(), self.answer_bytes_max)),
            Value::Once(found) if own => Some(((*found).clone(), 0)),
            _ => None,
        };
        match found {
            Some((found, _)) => Ok(found),
            None => self.store.search(call, search).await,
        }
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
                    let kept = self.kept_memory(&key::of_memory(&call.owner, &get.id))?;
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

/// A memory as the cache keeps it; `None` when it has expired.
fn loaded_memory(kept: Kept, ttl: Duration) -> Option<Loaded<Value>> {
    let lives_ms = kept
        .memory
        .expires_at
        .map(|at| at.as_millisecond().saturating_sub(now_ms()));
    let lives = match lives_ms.map(u64::try_from) {
        None => ttl,
        Some(Ok(ms)) if ms > 0 => ttl.min(Duration::from_millis(ms)),
        Some(_) => return None,
    };
    let tags = [tag(&kept.memory.id), EVERY_MEMORY.to_owned()];
    Some(Loaded::new(Value::Memory(kept)).tags(tags).ttl(lives))
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The store's error, of which everybody who waited gets a copy.
fn own(error: Error<MemoryError>) -> MemoryError {
    match error.into_load() {
        Some(error) => Arc::unwrap_or_clone(error),
        None => MemoryError::Internal {
            reason: "a load through the cache was given up".to_owned(),
        },
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
        if let Some(kept) = self.kept_memory(&key) {
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
