//! The service behind a cache.

use super::{CacheFuture, Key};
use crate::{Cache, Error, Fetch, Loaded, fetch::Look};
use std::{
    fmt,
    future::poll_fn,
    hash::Hash,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// A service whose answers come from a cache where they can.
///
/// It is always ready: a hit does not wait for the inner service, and does not
/// clone it. A miss waits for it inside of the call, on a clone.
///
/// A hit allocates nothing. A `BoxCloneService` *around* this service boxes every
/// future and so allocates for a hit as well; one *inside* of it does not.
#[derive(Clone)]
pub struct CacheService<S, K, V, L, T> {
    inner: S,
    cache: Cache<K, V>,
    lookup: L,
    keep: T,
}

impl<S, K, V, L, T> CacheService<S, K, V, L, T> {
    pub(super) fn new(inner: S, cache: Cache<K, V>, lookup: L, keep: T) -> Self {
        Self {
            inner,
            cache,
            lookup,
            keep,
        }
    }

    /// The inner service.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The cache.
    pub fn cache(&self) -> &Cache<K, V> {
        &self.cache
    }
}

impl<S, K, V, L, T, R> Service<R> for CacheService<S, K, V, L, T>
where
    S: Service<R, Response = V> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + Sync + 'static,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Fn(&R) -> Option<Key<K>>,
    T: Fn(&K, V) -> Loaded<V> + Clone + Send + 'static,
    R: Send + 'static,
{
    type Response = V;
    type Error = Error<S::Error>;
    type Future = CacheFuture<V, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let Some(Key { key, class }) = (self.lookup)(&request) else {
            let inner = self.inner.clone();
            return CacheFuture::load(async move {
                let answer = ask(inner, request).await;
                answer.map_err(|error| Error::Load(Arc::new(error)))
            });
        };
        let fetch = Fetch::new().class(class);
        let look = match self.cache.look(&key, &fetch) {
            Look::Fresh(hit) => return CacheFuture::hit(hit.value),
            other => other,
        };
        // Not before: a boxed service allocates when it is cloned.
        let (inner, cache, keep) = (self.inner.clone(), self.cache.clone(), self.keep.clone());
        CacheFuture::load(async move {
            let asked = key.clone();
            let load = move || async move {
                let answer = ask(inner, request).await?;
                Ok(keep(&asked, answer))
            };
            let answer = cache.resolve(Some(look), &key, fetch, load).await;
            answer.map(|answer| answer.value)
        })
    }
}

async fn ask<S: Service<R>, R>(mut inner: S, request: R) -> Result<S::Response, S::Error> {
    poll_fn(|cx| inner.poll_ready(cx)).await?;
    inner.call(request).await
}

impl<S: fmt::Debug, K, V, L, T> fmt::Debug for CacheService<S, K, V, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheService")
            .field("inner", &self.inner)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
