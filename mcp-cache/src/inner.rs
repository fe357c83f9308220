//! What all handles of a cache share.

use crate::{
    CacheTags, Class, Hit, Inserted, Invalidated, Loaded, Observer, Origin, Put, Store, Tag,
    Ticket, classes::Classes, clock::Clock, failures::Failures, flight::Flights,
    freshness::Reading, outcome::Outcome, remote::Tier, stats::Counters, sync::Mutex,
    tag_stats::TagCounters,
};
use hashbrown::{DefaultHashBuilder, Equivalent};
use std::{
    hash::{BuildHasher, Hash},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Bytes of a key and a value on the heap.
pub(crate) type WeighEntry<K, V> = Box<dyn Fn(&K, &V) -> u64 + Send + Sync>;
/// Whether a value is another one than the one before.
pub(crate) type Differs<V> = Box<dyn Fn(&V, &V) -> bool + Send + Sync>;

pub(crate) struct Inner<K, V> {
    pub(crate) store: Store<K, V>,
    pub(crate) flights: Flights<K, Outcome<V>>,
    pub(crate) classes: Classes,
    pub(crate) clock: Clock,
    pub(crate) bypass: AtomicBool,
    /// Held while `bypass` changes.
    pub(crate) bypass_switch: Mutex<()>,
    pub(crate) counters: Counters,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) failures: Option<Failures<K>>,
    pub(crate) tag_counters: Option<TagCounters>,
    pub(crate) weigh: WeighEntry<K, V>,
    pub(crate) differs: Option<Differs<V>>,
    pub(crate) hasher: DefaultHashBuilder,
    pub(crate) tier: Option<Tier<K, V>>,
}

impl<K, V> Inner<K, V> {
    pub(crate) fn is_bypassed(&self) -> bool {
        self.bypass.load(Ordering::Acquire)
    }

    /// Makes sure that what is in the first tier may be served at this moment.
    #[inline]
    pub(crate) fn confirm_lease(&self, now_ms: u64) {
        if let Some(tier) = &self.tier {
            tier.confirm_lease(now_ms);
        }
    }

    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) fn report(&self, report: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            report(&**observer);
        }
    }

    /// There is no room for one more load in the background.
    pub(crate) fn shed(&self) {
        self.counters.refreshes_shed.add_one();
        self.report(|observer| observer.on_refresh_shed());
    }
}

impl<K, V> Inner<K, V> {
    /// What may be done with an entry by its age. When it is due differs from entry
    /// to entry, so the key's hash and the moment at which it was stored pick it.
    #[inline]
    pub(crate) fn reading(
        &self,
        hash: impl FnOnce() -> u64,
        class: Class,
        hit: &Hit<V>,
    ) -> Reading {
        let rules = &self.classes.rules(class).rules;
        rules.reading(hit.age_ms, hit.fresh_for_ms, || {
            hash() ^ self.clock.now_ms().saturating_sub(hit.age_ms)
        })
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Inner<K, V> {
    /// The fingerprints of a value's tags and of its namespace.
    pub(crate) fn tags_of(&self, loaded: &Loaded<V>) -> Vec<Tag> {
        let epochs = self.store.epochs();
        let namespace = loaded.namespace.as_deref();
        let tags = loaded.tags.iter().map(|name| epochs.tag(name));
        tags.chain(namespace.map(|name| epochs.namespace(name)))
            .collect()
    }

    /// Stores what was loaded or written since `ticket`, under `tags`.
    pub(crate) fn keep(
        &self,
        key: K,
        loaded: Loaded<V>,
        tags: &[Tag],
        class: Class,
        (ticket, origin): (Ticket, Origin),
    ) -> Inserted {
        let class = self.classes.rules(loaded.class.unwrap_or(class));
        let now_ms = self.clock.now_ms();
        let hash = self.hash(&key);
        let spans = class.spans(loaded.ttl, hash, hash ^ now_ms);
        let put = Put {
            ticket,
            origin,
            tags,
            fresh_for_ms: spans.fresh_for_ms,
            stale_for_ms: spans.stale_for_ms,
            heap_bytes: (self.weigh)(&key, &loaded.value),
            keep_invalidated: class.keeps_invalidated,
        };
        if let Some(failures) = &self.failures {
            failures.forget(&key);
        }
        let inserted = self.store.insert(key, loaded.value, &put, now_ms);
        if inserted == Inserted::Stored {
            self.count_tags(&loaded.tags);
        }
        inserted
    }

    fn count_tags(&self, tags: &CacheTags) {
        if let Some(counters) = &self.tag_counters {
            counters.inserted(tags.iter());
        }
    }

    /// As [`Store::invalidate_key`]; whoever comes now begins a load of its own.
    pub(crate) fn invalidate_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = self.store.invalidate_key(key);
        self.flights.detach(self.hash(key), key);
        self.counters.invalidations.add_one();
        self.report(|observer| observer.on_invalidated(Invalidated::Key { found }));
        found
    }
}
