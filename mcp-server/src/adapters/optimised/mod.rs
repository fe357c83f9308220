//! The context manager with copies in memory.

mod freshness;
mod reads;
mod warming;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;
use mcp_cache::{Cache, Class, ClassConfig, Config, Error, Loaded};

use self::{freshness::Freshness, reads::Reads, warming::Warming};
use crate::{
    call::Call,
    context::{
        Context, ContextCacheConfig, ContextClass, ContextError, ContextId, ContextKey,
        ContextReceipt, Get, Kept, List, Listed, Put, WarmingConfig,
    },
    memory::MemoryError,
    ports::{Clear, ContextManager, ContextStore},
};

/// What a copy takes beside its content, id and tags, in bytes: the context, its counts, the lists.
const COPY_BYTES: u64 = 256;

/// A [`ContextManager`] that keeps copies of contexts in memory: a put goes through the cache, a
/// read that finds no copy makes one, and the contexts put last and read most are read ahead.
///
/// A copy is never stale: before it is used, the store is asked whether anything was stored since,
/// by whomever, and if so, what. Asking takes one system call where nothing was.
///
/// Lists are the store's: they depend on every context and on the time.
pub struct OptimisedManager {
    copies: Arc<Copies>,
    warming: Warming,
    warming_config: WarmingConfig,
}

impl std::fmt::Debug for OptimisedManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OptimisedManager")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What an [`OptimisedManager`] did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptimisedStats {
    /// Reads answered with a copy.
    pub hits: u64,
    /// Reads that went to the store.
    pub misses: u64,
    /// Times that the store was asked what was stored since.
    pub catch_ups: u64,
    /// Rounds of warming that have ended.
    pub warmings: u64,
    /// Copies now, dead ones that nobody has met yet included.
    pub copies: u64,
    /// Bytes of copies now, by the cache's own account.
    pub bytes: u64,
}

impl OptimisedManager {
    /// A manager of what is in `store`. Inside of a tokio runtime it begins to warm at once, until
    /// it is closed or dropped.
    ///
    /// # Errors
    ///
    /// A setting makes no sense.
    pub fn new(
        store: Arc<dyn ContextStore>,
        cache: &ContextCacheConfig,
        warming: &WarmingConfig,
    ) -> Result<Self, mcp_cache::ConfigError> {
        let copies = Arc::new(Copies::new(store, cache)?);
        let config_of_warming = warming.clone();
        let warming = Warming::start(copies.clone(), warming);
        Ok(Self {
            copies,
            warming,
            warming_config: config_of_warming,
        })
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> OptimisedStats {
        let cache = self.copies.cache.stats();
        OptimisedStats {
            hits: self.copies.hits.load(Ordering::Relaxed),
            misses: self.copies.misses.load(Ordering::Relaxed),
            catch_ups: self.copies.freshness.catch_ups(),
            warmings: self.warming.rounds(),
            copies: cache.entries,
            bytes: cache.memory_usage,
        }
    }

    /// Reads ahead now, as it is done in rounds; how many contexts that were.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn warm_now(&self) -> Result<u64, ContextError> {
        let warmed = warming::round(&self.copies, &self.warming_config).await?;
        Ok(warmed.loaded as u64)
    }

    /// Forgets copies; `false` where there is nothing like that.
    pub fn clear_copies(&self, what: &Clear) -> bool {
        let cache = &self.copies.cache;
        match what {
            Clear::All => cache.clear(),
            Clear::Key { owner, key } => {
                let id = ContextId::from(key.clone());
                let owner = owner.clone();
                cache.invalidate(&ContextKey { owner, id });
            }
            Clear::Tag(tag) => cache.invalidate_by_tags(&[tag]),
            Clear::Pattern(_) | Clear::Namespace { .. } => return false,
        }
        true
    }

    /// The counters of the cache itself.
    #[must_use]
    pub fn cache_stats(&self) -> mcp_cache::CacheStats {
        self.copies.cache.stats()
    }
}

#[async_trait]
impl ContextManager for OptimisedManager {
    async fn put(&self, call: &Call, put: Put) -> Result<ContextReceipt, ContextError> {
        self.copies.put(call, put).await
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Arc<Context>, ContextError> {
        let key = ContextKey {
            owner: call.owner.clone(),
            id: get.id,
        };
        let kept = self.copies.get(call, &key).await?;
        match kept.context.is_expired(Timestamp::now()) {
            true => Err(ContextError::NotFound { id: key.id }),
            false => Ok(kept.context.clone()),
        }
    }

    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError> {
        self.copies.store.list(call, list).await
    }

    async fn close(&self) {
        self.warming.stop().await;
    }
}

/// A context as the cache holds it.
#[derive(Debug, Clone)]
struct Held {
    context: Arc<Context>,
    revision: u64,
}

struct Copies {
    store: Arc<dyn ContextStore>,
    cache: Cache<ContextKey, Held>,
    classes: [(ContextClass, Class); ContextClass::ALL.len()],
    freshness: Freshness,
    reads: Reads,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Copies {
    fn new(
        store: Arc<dyn ContextStore>,
        config: &ContextCacheConfig,
    ) -> Result<Self, mcp_cache::ConfigError> {
        let class = |class: ContextClass| {
            let ttl = Some(config.ttl.of(class));
            let config = ClassConfig {
                ttl,
                ..ClassConfig::default()
            };
            (class.as_str().to_owned(), config)
        };
        let config = Config {
            bytes_max: Some(config.bytes_max),
            entries_max: Some(config.entries_max),
            classes: ContextClass::ALL
                .map(class)
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            ..Config::default()
        };
        let cache = Cache::weighing(&config, weigh).build()?;
        let classes =
            ContextClass::ALL.map(|class| (class, cache.class(class.as_str()).unwrap_or_default()));
        Ok(Self {
            store,
            cache,
            classes,
            freshness: Freshness::default(),
            reads: Reads::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    async fn put(&self, call: &Call, mut put: Put) -> Result<ContextReceipt, ContextError> {
        let key = ContextKey {
            owner: call.owner.clone(),
            id: put.id.take().unwrap_or_else(ContextId::generate),
        };
        put.id = Some(key.id.clone());
        // Dropped without a commit it invalidates: nobody knows what the store holds then.
        let write = self.cache.begin_write(key);
        let kept = self.store.put(call, put).await?;
        let receipt = ContextReceipt::from(&kept.context);
        write.commit(self.loaded(kept));
        Ok(receipt)
    }

    async fn get(&self, call: &Call, key: &ContextKey) -> Result<Held, ContextError> {
        self.freshness.catch_up(&*self.store, &self.cache).await?;
        if let Some(copy) = self.cache.try_get(key) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            self.reads.count_hit(key);
            call.notes.set_cached();
            return Ok(copy);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let (store, call, id) = (self.store.clone(), call.clone(), key.id.clone());
        let classes = self.classes;
        let load = move || async move {
            let kept = store.get(&call, Get { id }).await?;
            Ok(loaded(&classes, kept))
        };
        let answer = self.cache.get_or_fetch(key, load).await.map_err(shared)?;
        self.reads.count_miss(key);
        Ok(answer.value)
    }

    fn loaded(&self, kept: Kept) -> Loaded<Held> {
        loaded(&self.classes, kept)
    }
}

/// In the class of its context.
fn loaded(classes: &[(ContextClass, Class)], kept: Kept) -> Loaded<Held> {
    let context = Arc::new(kept.context);
    let class = classes.iter().find(|(class, _)| *class == context.class);
    let class = class.map(|(_, class)| *class).unwrap_or_default();
    let copy = Held {
        context,
        revision: kept.revision,
    };
    Loaded::new(copy).class(class)
}

fn weigh(key: &ContextKey, copy: &Held) -> u64 {
    let context = &copy.context;
    let tags: usize = context
        .tags
        .iter()
        .map(|tag| tag.len() + size_of::<String>())
        .sum();
    let texts = key.owner.as_str().len() + 2 * key.id.as_str().len() + tags;
    COPY_BYTES + (texts + context.content.heap_bytes()) as u64
}

/// The error of a load, of which others may have a share.
fn shared(error: Error<ContextError>) -> ContextError {
    match error {
        Error::Load(error) => Arc::unwrap_or_clone(error),
        late => ContextError::Store(MemoryError::Unavailable {
            reason: late.to_string(),
        }),
    }
}
