//! Cache-aside reads: from the cache, or by one load for all who ask.

use crate::{
    Answer, Cache, Class, Error, Hit, Loaded, Lookup, Source, StaleReason, Tag,
    freshness::Reading,
    load::{Acquired, Want},
};
use std::{hash::Hash, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, error::Elapsed, timeout_at},
};

/// How one call of [`Cache::get_or_fetch_with`] uses the cache.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetch<'a> {
    class: Class,
    tags: &'a [&'a str],
    mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Use,
    Renew,
    Strict,
    Bypass,
}

/// What a look into the cache found.
pub(crate) enum Look<V> {
    Fresh(Hit<V>),
    /// Fresh, and to be loaded before it expires.
    Due(Hit<V>),
    Stale(Hit<V>),
    Miss,
    /// The second tier has to be asked first.
    Ask,
    /// The cache is not to be asked.
    Past,
}

impl<'a> Fetch<'a> {
    /// In the default class.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// In this class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// With these tags, besides those that the load decides. A caller that
    /// comes after they were invalidated does not wait for a load that began
    /// before: it knows without waiting that it may not have its value.
    #[must_use]
    pub fn tags(mut self, tags: &'a [&'a str]) -> Self {
        self.tags = tags;
        self
    }

    /// Loads whatever is in the cache, and stores what comes.
    #[must_use]
    pub fn renew(mut self) -> Self {
        self.mode = Mode::Renew;
        self
    }

    /// As if no other process could be ahead: answers from a tier only if a look
    /// into the second one, which this call begins, says that no invalidation is
    /// missing here; else loads. Without a second tier every read is like that.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.mode = Mode::Strict;
        self
    }

    /// Neither asks the cache nor stores what comes.
    #[must_use]
    pub fn bypass(mut self) -> Self {
        self.mode = Mode::Bypass;
        self
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The value of `key`: from the cache, or by `load`, which is called by one of
    /// all who ask at once and miss. The others wait and share its value or
    /// error. Errors are not kept unless the class says so.
    ///
    /// A load that was begun before an invalidation of its key or of a tag is
    /// never an answer to a caller that came after that returned: such a caller
    /// begins a load of its own.
    ///
    /// `load` must not ask this cache for the same key: it would wait for itself.
    ///
    /// # Errors
    /// The load's own error, or its hard deadline.
    ///
    /// # Panics
    /// If `load` does, in this caller only: another one takes over. Behind a soft
    /// deadline the load runs in the background, where a panic counts as an error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the load; if others wait, one of them begins its
    /// own. Loads in the background go on.
    ///
    /// ```
    /// use mcp_cache::{Cache, Config, Loaded, Source};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache: Cache<String, u64> = Cache::new(&Config::default())?;
    /// let key = "swarm/7/agents".to_owned();
    /// for source in [Source::Loaded, Source::Hit] {
    ///     let count = || async { Ok::<_, std::io::Error>(Loaded::new(12).tags(["agents"])) };
    ///     let answer = cache.get_or_fetch(&key, count).await?;
    ///     assert_eq!((answer.value, answer.source), (12, source));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_or_fetch<F, L, E>(
        &self,
        key: &K,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> impl Future<Output = Result<Answer<V>, Error<E>>> + Send
    where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        self.get_or_fetch_with(key, Fetch::new(), load)
    }

    /// As [`get_or_fetch`](Self::get_or_fetch), in a class, with tags that are
    /// known before, or past the cache.
    ///
    /// # Errors
    /// The load's own error, or its hard deadline.
    ///
    /// # Panics
    /// As [`get_or_fetch`](Self::get_or_fetch).
    ///
    /// # Cancel safety
    /// As [`get_or_fetch`](Self::get_or_fetch).
    pub fn get_or_fetch_with<F, L, E>(
        &self,
        key: &K,
        fetch: Fetch<'_>,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> impl Future<Output = Result<Answer<V>, Error<E>>> + Send
    where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        self.resolve(None, key, fetch, load)
    }

    /// Whether the cache is neither asked nor filled.
    pub(crate) fn is_past(&self, fetch: &Fetch<'_>) -> bool {
        fetch.mode == Mode::Bypass || self.inner.is_bypassed()
    }

    /// What the cache has; waits for nothing.
    pub(crate) fn look(&self, key: &K, fetch: &Fetch<'_>) -> Look<V> {
        let inner = &*self.inner;
        if self.is_past(fetch) {
            return Look::Past;
        }
        if fetch.mode == Mode::Renew {
            return Look::Miss;
        }
        if fetch.mode == Mode::Strict && inner.tier.is_some() {
            return Look::Ask;
        }
        let now_ms = inner.clock.now_ms();
        inner.confirm_lease(now_ms);
        match inner.store.get(key, now_ms) {
            Lookup::Fresh(hit) => {
                match self
                    .inner
                    .reading(|| self.inner.hash(key), fetch.class, &hit)
                {
                    Reading::Due => Look::Due(hit),
                    _ => Look::Fresh(hit),
                }
            }
            Lookup::Stale(hit) => Look::Stale(hit),
            Lookup::Miss => Look::Miss,
        }
    }

    /// Answers from a look, which is taken now if it was not before, or loads. One
    /// body, since each further one would hold the load once more.
    pub(crate) async fn resolve<F, L, E>(
        &self,
        look: Option<Look<V>>,
        key: &K,
        fetch: Fetch<'_>,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Answer<V>, Error<E>>
    where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        let inner = &*self.inner;
        match look.unwrap_or_else(|| self.look(key, &fetch)) {
            Look::Fresh(hit) => return Ok(Answer::new(hit.value, Source::Hit)),
            Look::Due(hit) => {
                let answer = Answer::new(hit.value.clone(), Source::Hit);
                self.refresh(&self.want(key, &fetch), Some(hit), load);
                return Ok(answer);
            }
            // Boxed: rare, and large.
            Look::Stale(hit) => return Box::pin(self.reload(key, &fetch, hit, load)).await,
            Look::Past => return Box::pin(inner.load_past(fetch.class, load)).await,
            Look::Ask => return Box::pin(inner.fetch_strict(&self.want(key, &fetch), load)).await,
            Look::Miss => {}
        }
        let want = self.want(key, &fetch);
        let result = match inner.acquire(&want).await {
            Acquired::Answered(result) => result,
            Acquired::Leads(lead) => inner.lead(lead, &want, None, load).await,
        };
        if result.is_err()
            && inner.classes.rules(fetch.class).keeps_invalidated
            && let Some(hit) = inner.store.last_known(key, inner.clock.now_ms())
            // Some are kept for longer, to be compared.
            && inner.reading(|| want.hash, fetch.class, &hit) != Reading::Expired
        {
            inner.report(|observer| observer.on_error_hidden());
            return Ok(self.serve_stale(hit.value, StaleReason::Invalidated));
        }
        result
    }

    pub(crate) fn want<'a>(&self, key: &'a K, fetch: &Fetch<'_>) -> Want<'a, K> {
        let epochs = self.inner.store.epochs();
        Want {
            key: std::borrow::Cow::Borrowed(key),
            hash: self.inner.hash(key),
            class: fetch.class,
            tags: fetch.tags.iter().map(|name| epochs.tag(name)).collect(),
            began: self.inner.store.ticket(),
            names: self.inner.tier.as_ref().map_or_else(Vec::new, |_| {
                fetch.tags.iter().map(|name| (*name).to_owned()).collect()
            }),
            renew: matches!(fetch.mode, Mode::Renew | Mode::Strict),
            begun: None,
        }
    }

    /// What is there has expired, and was not invalidated.
    async fn reload<F, L, E>(
        &self,
        key: &K,
        fetch: &Fetch<'_>,
        hit: Hit<V>,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Answer<V>, Error<E>>
    where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        let want = self.want(key, fetch);
        match self
            .inner
            .reading(|| self.inner.hash(key), fetch.class, &hit)
        {
            Reading::Revalidate => {
                let stale = self.serve_stale(hit.value.clone(), StaleReason::Revalidating);
                self.refresh(&want, Some(hit), load);
                Ok(stale)
            }
            Reading::OnError => {
                let value = hit.value.clone();
                let soft = self.inner.classes.rules(fetch.class).soft;
                match self.load_within(soft, &want, hit, load).await {
                    Ok(Ok(answer)) => Ok(answer),
                    Ok(Err(_)) => {
                        self.inner.report(|observer| observer.on_error_hidden());
                        Ok(self.serve_stale(value, StaleReason::LoadFailed))
                    }
                    Err(reason) => Ok(self.serve_stale(value, reason)),
                }
            }
            Reading::Fresh | Reading::Due | Reading::Expired => {
                self.inner.fetch(&want, Some(&hit), load).await
            }
        }
    }

    fn serve_stale(&self, value: V, reason: StaleReason) -> Answer<V> {
        self.inner.counters.stale_serves.add_one();
        Answer::new(value, Source::Stale(reason))
    }

    /// Waits for a load up to the soft deadline: for somebody else's, or for its
    /// own in the background, which goes on. Without room there it runs here, and
    /// ends at the deadline.
    async fn load_within<F, L, E>(
        &self,
        soft: Option<Duration>,
        want: &Want<'_, K>,
        before: Hit<V>,
        load: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Result<Answer<V>, Error<E>>, StaleReason>
    where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        let inner = &self.inner;
        let Some(soft) = soft else {
            return Ok(inner.fetch(want, Some(&before), load).await);
        };
        let until = Instant::now() + soft;
        let lead = match timeout_at(until, inner.acquire(want)).await.map_err(slow)? {
            Acquired::Answered(result) => return Ok(result),
            Acquired::Leads(lead) => lead,
        };
        let Some(room) = self.tasks.permit() else {
            inner.shed();
            let loaded = timeout_at(until, inner.lead(lead, want, Some(&before), load)).await;
            return loaded.map_err(slow);
        };
        let (sender, receiver) = oneshot::channel();
        self.lead_apart(room, lead, want, Some(before), load, move |result| {
            // Nobody waits any more: the value is in the cache.
            let _ = sender.send(result);
        });
        match timeout_at(until, receiver).await {
            Ok(Ok(result)) => Ok(result),
            // It panicked, or the cache was closed.
            Ok(Err(_)) => Err(StaleReason::LoadFailed),
            Err(elapsed) => Err(slow(elapsed)),
        }
    }
}

/// The soft deadline came first.
fn slow(_: Elapsed) -> StaleReason {
    StaleReason::LoadSlow
}

/// The tags of a value and those that were known before.
pub(crate) fn join_tags(mut tags: Vec<Tag>, known: &[Tag]) -> Vec<Tag> {
    for tag in known {
        if !tags.contains(tag) {
            tags.push(*tag);
        }
    }
    tags
}

#[cfg(all(test, mcp_loom))]
mod loom_models;
