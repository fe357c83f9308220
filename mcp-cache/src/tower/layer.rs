//! The layer that puts a cache before a service.

use super::CacheService;
use crate::{Cache, Class, Loaded};
use std::fmt;
use tower_layer::Layer;

/// How one request is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<K> {
    pub(super) key: K,
    pub(super) class: Class,
}

impl<K> Key<K> {
    /// By this key, in the default class.
    ///
    /// The key must name everything that the answer depends on: also who asks,
    /// if two callers may get different answers.
    pub fn new(key: K) -> Self {
        Self {
            key,
            class: Class::DEFAULT,
        }
    }

    /// In this class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }
}

/// What is decided about an answer before it is kept: its tags, its time to
/// live, or that it is [not kept](Loaded::not_kept) at all.
pub type Keep<K, V> = fn(&K, V) -> Loaded<V>;

/// Puts a [`CacheService`] around a service. All services that one layer makes
/// share its cache.
///
/// `lookup` sees each request; one for which it returns `None` goes past the
/// cache, as whatever changes something must.
pub struct CacheLayer<K, V, L, T = Keep<K, V>> {
    cache: Cache<K, V>,
    lookup: L,
    keep: T,
}

impl<K, V, L> CacheLayer<K, V, L> {
    /// Answers from `cache`, and keeps every answer that is not an error, without
    /// tags.
    pub fn new(cache: Cache<K, V>, lookup: L) -> Self {
        Self {
            cache,
            lookup,
            keep: |_, value| Loaded::new(value),
        }
    }
}

impl<K, V, L, T> CacheLayer<K, V, L, T> {
    /// Asks `keep`, a function of the key and the answer, how an answer is to be
    /// kept.
    pub fn keep<U>(self, keep: U) -> CacheLayer<K, V, L, U>
    where
        U: Fn(&K, V) -> Loaded<V>,
    {
        CacheLayer {
            cache: self.cache,
            lookup: self.lookup,
            keep,
        }
    }
}

impl<K, V, L: Clone, T: Clone> Clone for CacheLayer<K, V, L, T> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            lookup: self.lookup.clone(),
            keep: self.keep.clone(),
        }
    }
}

impl<S, K, V, L: Clone, T: Clone> Layer<S> for CacheLayer<K, V, L, T> {
    type Service = CacheService<S, K, V, L, T>;

    fn layer(&self, inner: S) -> Self::Service {
        CacheService::new(
            inner,
            self.cache.clone(),
            self.lookup.clone(),
            self.keep.clone(),
        )
    }
}

impl<K, V, L, T> fmt::Debug for CacheLayer<K, V, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
