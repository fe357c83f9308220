//! Errors of loads that are kept for a while, where a class asks for it.

use crate::{
    Tag, Ticket,
    sync::{Mutex, lock},
};
use lru::LruCache;
use std::{any::Any, hash::Hash, num::NonZero};

/// An error of any type.
pub(crate) type Failure = std::sync::Arc<dyn Any + Send + Sync>;

/// A bounded map of errors; the one that was asked for longest ago makes room.
pub(crate) struct Failures<K>(Mutex<LruCache<K, Kept>>);

struct Kept {
    error: Failure,
    ticket: Ticket,
    tags: Box<[Tag]>,
    until_ms: u64,
}

impl<K: Hash + Eq> Failures<K> {
    pub(crate) fn new(len_max: usize) -> Self {
        let len_max = NonZero::new(len_max).unwrap_or(NonZero::<usize>::MIN);
        Self(Mutex::new(LruCache::new(len_max)))
    }

    /// The error of `key`, unless its time is over or `is_live` says that it
    /// was invalidated.
    pub(crate) fn get(
        &self,
        key: &K,
        now_ms: u64,
        is_live: impl FnOnce(Ticket, &[Tag]) -> bool,
    ) -> Option<Failure> {
        let mut kept = lock(&self.0);
        let found = kept.get(key)?;
        if now_ms < found.until_ms && is_live(found.ticket, &found.tags) {
            return Some(std::sync::Arc::clone(&found.error));
        }
        kept.pop(key);
        None
    }

    pub(crate) fn keep(&self, key: K, error: Failure, ticket: Ticket, tags: &[Tag], until_ms: u64) {
        let tags = tags.into();
        let kept = Kept {
            error,
            ticket,
            tags,
            until_ms,
        };
        lock(&self.0).put(key, kept);
    }

    /// The key has a value now.
    pub(crate) fn forget(&self, key: &K) {
        lock(&self.0).pop(key);
    }
}
