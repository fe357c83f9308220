//! The handle: look-ups, inserts, invalidations, statistics.

use crate::{
    Answer, Builder, CacheStats, Class, Config, ConfigError, Epochs, Inserted, Invalidated, Loaded,
    Lookup, Origin, Source, StaleReason, Tag, TagStats, Ticket, Weigh, freshness::Reading,
    inner::Inner, remote::Kind, sweep, sync::lock, tasks::Tasks,
};
use hashbrown::Equivalent;
use std::{
    collections::BTreeMap,
    fmt,
    hash::Hash,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// A bounded cache in memory with tags, loads that are shared, and no stale read
/// after an invalidation. Clones are handles of the same cache.
///
/// What runs in the background (the sweep, refreshes) ends with the last handle.
pub struct Cache<K, V> {
    pub(crate) inner: Arc<Inner<K, V>>,
    pub(crate) tasks: Arc<Tasks>,
}

/// What the cache of an MCP server is called.
pub type McpCache<K, V> = Cache<K, V>;

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache with tags of its own.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new(config: &Config) -> Result<Self, ConfigError>
    where
        K: Weigh,
        V: Weigh,
    {
        Self::builder(config).build()
    }

    /// Begins a cache with shared tags, an observer, or compared values.
    #[must_use]
    pub fn builder(config: &Config) -> Builder<K, V>
    where
        K: Weigh,
        V: Weigh,
    {
        Builder::new(config.clone())
    }

    /// Begins a cache of types that do not say what they weigh: `heap_bytes` says
    /// how many bytes a key and a value hold outside of themselves.
    #[must_use]
    pub fn weighing(
        config: &Config,
        heap_bytes: impl Fn(&K, &V) -> u64 + Send + Sync + 'static,
    ) -> Builder<K, V> {
        Builder::weighing(config.clone(), heap_bytes)
    }

    /// The value of `key` if it is there and fresh. Takes one shard's lock and one
    /// reading of the clock, allocates nothing and never waits for a load.
    #[inline]
    pub fn try_get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if self.inner.is_bypassed() {
            return None;
        }
        let now_ms = self.inner.clock.now_ms();
        self.inner.confirm_lease(now_ms);
        self.inner.store.get(key, now_ms).fresh()
    }

    /// The value of `key` if it is there and fresh, or, marked as such, if it is
    /// stale and its class lets it be served while it is loaded anew. Loads
    /// nothing.
    pub fn get<Q>(&self, key: &Q, class: Class) -> Option<Answer<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if self.inner.is_bypassed() {
            return None;
        }
        let now_ms = self.inner.clock.now_ms();
        self.inner.confirm_lease(now_ms);
        match self.inner.store.get(key, now_ms) {
            Lookup::Fresh(hit) => Some(Answer::new(hit.value, Source::Hit)),
            Lookup::Stale(hit) => match self.inner.reading(|| 0, class, &hit) {
                Reading::Revalidate => {
                    self.inner.counters.stale_serves.add_one();
                    let source = Source::Stale(StaleReason::Revalidating);
                    Some(Answer::new(hit.value, source))
                }
                _ => None,
            },
            Lookup::Miss => None,
        }
    }

    /// Puts a value in the place of whatever is there or is being loaded.
    ///
    /// The value must be current: one that was read or written before this call
    /// may have been invalidated since, and the cache cannot know. Where that is
    /// possible, take a [`ticket`](Self::ticket) first and use
    /// [`put_since`](Self::put_since), or [`begin_write`](Self::begin_write).
    pub fn insert<'a>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = &'a str>,
    ) -> Inserted {
        let epochs = self.inner.store.epochs();
        let names: Vec<&str> = tags.into_iter().collect();
        let tags: Vec<Tag> = names.iter().map(|name| epochs.tag(name)).collect();
        let origin = (self.ticket(), Origin::Write);
        let inserted = self.replace(key, Loaded::new(value), &tags, origin);
        if let Some(counters) = &self.inner.tag_counters
            && inserted == Inserted::Stored
        {
            counters.inserted(names.into_iter());
        }
        inserted
    }

    /// As [`insert`](Self::insert), with all that a load can say.
    pub fn put(&self, key: K, loaded: impl Into<Loaded<V>>) -> Inserted {
        let loaded = loaded.into();
        let tags = self.inner.tags_of(&loaded);
        self.replace(key, loaded, &tags, (self.ticket(), Origin::Write))
    }

    /// To be taken before a source is read by hand, for
    /// [`put_since`](Self::put_since).
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.inner.store.ticket()
    }

    /// Stores a value that was read from its source after `ticket` was taken,
    /// unless it was invalidated since or a later one is there.
    pub fn put_since(&self, ticket: Ticket, key: K, loaded: impl Into<Loaded<V>>) -> Inserted {
        let loaded = loaded.into();
        let tags = self.inner.tags_of(&loaded);
        if self.inner.is_bypassed() || !loaded.kept {
            return Inserted::BornDead;
        }
        let origin = (ticket, Origin::Load);
        self.inner.keep(key, loaded, &tags, Class::DEFAULT, origin)
    }

    /// Stores a written value; whatever comes of that, no older one is left.
    pub(crate) fn replace(
        &self,
        key: K,
        loaded: Loaded<V>,
        tags: &[Tag],
        origin: (Ticket, Origin),
    ) -> Inserted {
        // What the second tier has is older, whatever comes of this.
        if let Some(tier) = &self.inner.tier {
            tier.invalidate_key(&key);
        }
        let hash = self.inner.hash(&key);
        let kept = key.clone();
        let inserted = match self.inner.is_bypassed() || !loaded.kept {
            true => Inserted::BornDead,
            false => self.inner.keep(key, loaded, tags, Class::DEFAULT, origin),
        };
        if inserted != Inserted::Stored {
            self.inner.store.invalidate_key(&kept);
        }
        self.inner.flights.detach(hash, &kept);
        inserted
    }

    /// Invalidates a key; whether it was there.
    pub fn invalidate<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ToOwned + ?Sized,
        Q::Owned: Into<K>,
    {
        if let Some(tier) = &self.inner.tier {
            tier.invalidate_key(&key.to_owned().into());
        }
        self.inner.invalidate_key(key)
    }

    /// Invalidates all that carries one of the tags, and all that is being loaded
    /// and will carry one, in every cache of these [`epochs`](Self::epochs). Costs
    /// the same whatever the tags hold.
    pub fn invalidate_by_tags(&self, names: &[&str]) {
        let epochs = self.inner.store.epochs();
        if let Some(tier) = &self.inner.tier {
            tier.invalidate_names(Kind::Tag, names);
        }
        let tags: Vec<Tag> = names.iter().map(|name| epochs.tag(name)).collect();
        epochs.invalidate(&tags);
        if let Some(counters) = &self.inner.tag_counters {
            counters.invalidated(names.iter().copied());
        }
        self.invalidated(Invalidated::Tags(names));
    }

    /// As [`invalidate_by_tags`](Self::invalidate_by_tags), for a namespace.
    pub fn invalidate_namespace(&self, name: &str) {
        let epochs = self.inner.store.epochs();
        if let Some(tier) = &self.inner.tier {
            tier.invalidate_names(Kind::Namespace, &[name]);
        }
        epochs.invalidate(&[epochs.namespace(name)]);
        self.invalidated(Invalidated::Namespace(name));
    }

    /// Invalidates every key of this cache that matches the glob (`*` is any
    /// text, `?` one character, `\` takes the next one literally).
    pub fn invalidate_pattern(&self, glob: &str)
    where
        K: AsRef<str>,
    {
        self.tier_forgets_all();
        self.inner.store.invalidate_pattern(glob);
        self.invalidated(Invalidated::Pattern(glob));
    }

    /// Invalidates everything in this cache. Memory is given back by use and by
    /// the sweep.
    pub fn clear(&self) {
        self.tier_forgets_all();
        self.inner.store.clear();
        self.invalidated(Invalidated::All);
    }

    fn tier_forgets_all(&self) {
        if let Some(tier) = &self.inner.tier {
            tier.invalidate_all();
        }
    }

    fn invalidated(&self, what: Invalidated<'_>) {
        self.inner.counters.invalidations.add_one();
        self.inner.report(|observer| observer.on_invalidated(what));
    }

    /// Removes all dead entries now; how many there were.
    pub fn sweep(&self) -> usize {
        sweep::all(&self.inner)
    }

    /// The class of the configuration with this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<Class> {
        self.inner.classes.find(name)
    }

    /// What this cache's tags are stamped in; for caches and buses that share it.
    pub fn epochs(&self) -> &Arc<Epochs> {
        self.inner.store.epochs()
    }

    /// Sends every call past the cache, or no longer. Switching it off again
    /// clears the cache, in its second tier, too: what was written meanwhile told it
    /// nothing. What is written from the call on must tell it.
    pub fn set_bypass(&self, bypass: bool) {
        let inner = &self.inner;
        let switch = lock(&inner.bypass_switch);
        let cleared = inner.is_bypassed() && !bypass;
        if cleared {
            // Nobody reads before this.
            self.tier_forgets_all();
            inner.store.clear();
        }
        inner.bypass.store(bypass, Ordering::Release);
        drop(switch);
        if cleared {
            self.invalidated(Invalidated::All);
        }
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let (store, loading) = (self.inner.store.stats(), self.inner.flights.len());
        self.inner.counters.snapshot(&store, loading)
    }

    /// Statistics by tag; empty unless
    /// [`tag_stats_max`](Config::tag_stats_max) asks for them.
    #[must_use]
    pub fn tag_stats(&self) -> BTreeMap<String, TagStats> {
        let counters = self.inner.tag_counters.as_ref();
        counters.map_or_else(BTreeMap::new, |counters| counters.snapshot())
    }

    /// Ends what runs in the background: starts no more, waits for loads for up
    /// to `grace`, then drops those that are left; how many that were. The cache
    /// itself goes on.
    ///
    /// # Cancel safety
    /// Dropping the future drops the loads that it waited for.
    pub async fn close(&self, grace: Duration) -> usize {
        self.tasks.close(grace).await
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            tasks: Arc::clone(&self.tasks),
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}
