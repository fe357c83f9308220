//! One cache's part of the second tier: its name and its types.

use super::{
    Remote, RemoteKey, RemoteValue,
    look::Looked,
    node::{Listener, cache_mark, join_key},
    record::{Expiry, Record, SCOPES_MAX},
    scope::{Kind, Mark, Scope},
    writer::Write,
};
use crate::{CacheTags, Loaded, inner::Inner};
use bytes::Bytes;
use std::{
    hash::Hash,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How the keys and values of one cache become bytes.
pub(crate) struct Binding<K, V> {
    pub(crate) remote: Remote,
    pub(crate) name: Box<str>,
    key_to: fn(&K) -> Bytes,
    key_from: fn(&[u8]) -> Option<K>,
    value_to: fn(&V) -> Bytes,
    value_from: fn(Bytes) -> Option<V>,
}

pub(crate) struct Tier<K, V> {
    binding: Binding<K, V>,
    cache: Mark,
}

impl<K: RemoteKey, V: RemoteValue> Binding<K, V> {
    pub(crate) fn new(remote: Remote, name: &str) -> Self {
        Self {
            remote,
            name: name.into(),
            key_to: K::to_bytes,
            key_from: K::from_bytes,
            value_to: V::to_bytes,
            value_from: V::from_bytes,
        }
    }
}

impl<K, V> Tier<K, V> {
    pub(crate) fn new(binding: Binding<K, V>) -> Self {
        let cache = cache_mark(&binding.name);
        Self { binding, cache }
    }

    #[inline]
    pub(crate) fn confirm_lease(&self, now_ms: u64) {
        self.binding.remote.node.confirm_lease(now_ms);
    }

    /// What a load that begins now is born at, as far as this process has heard.
    pub(crate) fn born(&self) -> Option<u64> {
        self.binding.remote.node.born()
    }

    pub(crate) async fn look(&self, key: &K) -> (Option<Loaded<V>>, Looked) {
        let keys = [self.key(key)];
        let mut looked = self.binding.remote.node.look(self.cache, &keys).await;
        let record = looked.records.pop().flatten();
        (record.and_then(|record| self.loaded(record)), looked)
    }

    pub(crate) async fn look_many(&self, keys: &[K]) -> Vec<Option<Loaded<V>>> {
        let keys: Vec<Bytes> = keys.iter().map(|key| self.key(key)).collect();
        let looked = self.binding.remote.node.look(self.cache, &keys).await;
        let records = looked.records.into_iter();
        records
            .map(|record| record.and_then(|record| self.loaded(record)))
            .collect()
    }

    /// The record of a value, to be [stored](Self::store) if the first tier takes
    /// it; `None` if it is not for the second.
    pub(crate) fn record(
        &self,
        key: &K,
        loaded: &Loaded<V>,
        known: &[String],
        born: Option<u64>,
    ) -> Option<Write> {
        let node = &self.binding.remote.node;
        let born = born.filter(|_| loaded.kept)?;
        let value = (self.binding.value_to)(&loaded.value);
        if value.len() > node.config.value_bytes_max {
            node.counters.writes_lost.add_one();
            return None;
        }
        let text = |name: &str| Bytes::copy_from_slice(name.as_bytes());
        let known = known.iter().map(String::as_str);
        let mut scopes: Vec<_> = loaded
            .tags
            .iter()
            .chain(known)
            .map(|name| (Kind::Tag, text(name)))
            .collect();
        let namespace = loaded.namespace.as_deref();
        scopes.extend(namespace.map(|name| (Kind::Namespace, text(name))));
        if scopes.len() > SCOPES_MAX {
            node.counters.writes_lost.add_one();
            return None;
        }
        let key = self.key(key);
        let record = Record {
            born,
            expiry: loaded.ttl.map(|ttl| Expiry {
                stored_unix_ms: unix_ms(),
                ttl_ms: to_ms(ttl),
            }),
            scopes,
            value,
        };
        let bytes = record.encode(&key, &node.config.compress);
        let ttl = loaded.ttl.unwrap_or(node.config.ttl).min(node.config.ttl);
        Some((key, bytes, ttl.max(Duration::from_millis(1))))
    }

    /// Has a record stored, without waiting for that.
    pub(crate) fn store(&self, record: Write) {
        let node = &self.binding.remote.node;
        if !node.writes.offer(record) {
            node.counters.writes_lost.add_one();
        }
    }

    /// To be called before the same is done in the first tier.
    pub(crate) fn invalidate_key(&self, key: &K) {
        self.invalidate([Scope::new(Kind::Key, self.key(key))]);
    }

    /// As [`invalidate_key`](Self::invalidate_key), for everything in the cache.
    pub(crate) fn invalidate_all(&self) {
        self.invalidate([Scope::new(Kind::Cache, self.binding.name.as_bytes())]);
    }

    /// As [`invalidate_key`](Self::invalidate_key), for tags or namespaces.
    pub(crate) fn invalidate_names(&self, kind: Kind, names: &[&str]) {
        self.invalidate(names.iter().map(|name| Scope::new(kind, name)));
    }

    fn invalidate(&self, scopes: impl IntoIterator<Item = Scope>) {
        self.binding.remote.node.invalidate(scopes);
    }

    fn key(&self, key: &K) -> Bytes {
        join_key(&self.binding.name, &(self.binding.key_to)(key))
    }

    /// `None` if its own time to live is over or its value's type cannot read it.
    fn loaded(&self, record: Record) -> Option<Loaded<V>> {
        let counters = &self.binding.remote.node.counters;
        let ttl = match record.expiry {
            None => None,
            Some(expiry) => {
                let age_ms = unix_ms().saturating_sub(expiry.stored_unix_ms);
                let Some(left) = expiry.ttl_ms.checked_sub(age_ms).filter(|left| *left > 0) else {
                    counters.dead.add_one();
                    return None;
                };
                Some(Duration::from_millis(left))
            }
        };
        let Some(value) = (self.binding.value_from)(record.value) else {
            counters.unreadable.add_one();
            return None;
        };
        let (mut tags, mut namespace) = (Vec::new(), None);
        for (kind, name) in record.scopes {
            let name = String::from_utf8(name.into()).ok()?;
            match kind {
                Kind::Namespace => namespace = Some(name),
                _ => tags.push(name),
            }
        }
        let mut loaded = Loaded::new(value).tags(tags.into_iter().collect::<CacheTags>());
        (loaded.ttl, loaded.namespace) = (ttl, namespace.map(Into::into));
        Some(loaded)
    }

    /// The key of a message; `None` if there is none.
    fn key_of(&self, bytes: &[u8]) -> Option<K> {
        (self.binding.key_from)(bytes)
    }
}

/// The other processes' word.
impl<K, V> Listener for Inner<K, V>
where
    K: Hash + Eq + Clone + Send + Sync,
    V: Clone + Send + Sync,
{
    fn forget_key(&self, key: &[u8]) {
        match self.tier.as_ref().and_then(|tier| tier.key_of(key)) {
            Some(key) => {
                self.store.invalidate_key(&key);
                self.flights.detach(self.hash(&key), &key);
            }
            None => self.store.clear(),
        }
    }

    fn forget_all(&self) {
        self.store.clear();
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    to_ms(since.unwrap_or_default())
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
