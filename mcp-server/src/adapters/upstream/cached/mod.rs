//! An upstream whose list of tools is kept, and the results of those tools whose settings say so.

mod key;
mod policy;
#[cfg(test)]
mod tests;

use std::{
    num::NonZeroU64,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mcp_cache::{Cache, CacheTags, ClassConfig, ConfigError, Error, Fetch, Loaded, Source};
use rmcp::model::{CallToolResponse, JsonObject};
use tokio::time::Instant;

use self::policy::{Policies, Terms};
use crate::{
    call::Call,
    monitoring::Parts,
    ports::Upstream,
    tools::json_len,
    upstream::{
        ConnectorName, ConnectorsConfig, Listed, Manifest, RemoteTool, ServerConfig, Until,
        UpstreamError, Wanted,
    },
};

/// The most lists that are kept.
const LISTS_MAX: u64 = 100_000;

/// Tags of results that are counted one by one.
const RESULT_TAGS_MAX: usize = 256;

/// What is kept of all upstreams. Clones share it.
#[derive(Clone)]
pub struct UpstreamCaches {
    lists: Cache<String, Listed>,
    results: Cache<String, Arc<CallToolResponse>>,
    share_calls: bool,
    /// Upstreams so far.
    generations: Arc<AtomicU64>,
}

impl std::fmt::Debug for UpstreamCaches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamCaches")
            .field("lists", &self.lists.stats())
            .field("results", &self.results.stats())
            .finish_non_exhaustive()
    }
}

impl UpstreamCaches {
    /// Nothing is kept yet.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn new(config: &ConnectorsConfig) -> Result<Self, ConfigError> {
        let refresh = &config.refresh;
        let lists = mcp_cache::Config {
            bytes_max: None,
            entries_max: NonZeroU64::new(LISTS_MAX),
            default_class: ClassConfig {
                ttl: Some(refresh.ttl),
                jitter: 0.0,
                stale_on_error: refresh.stale_max,
                // A list that may be wrong is better than none, if it is marked.
                invalidated_on_error: !refresh.stale_max.is_zero(),
                ..ClassConfig::default()
            },
            ..mcp_cache::Config::default()
        };
        let bytes_max = u64::try_from(config.results.bytes_max.get()).unwrap_or(u64::MAX);
        let results = mcp_cache::Config {
            bytes_max: NonZeroU64::new(bytes_max),
            tag_stats_max: RESULT_TAGS_MAX,
            default_class: ClassConfig {
                jitter: 0.0,
                ..ClassConfig::default()
            },
            ..mcp_cache::Config::default()
        };
        let weigh = |key: &String, value: &Arc<CallToolResponse>| {
            // What it is as text; its parts in memory take some more.
            u64::try_from(key.len() + 2 * json_len(value)).unwrap_or(u64::MAX)
        };
        Ok(Self {
            // Their number is bounded.
            lists: Cache::weighing(&lists, |_: &String, _: &Listed| 1).build()?,
            results: Cache::weighing(&results, weigh).build()?,
            share_calls: config.results.share_calls,
            generations: Arc::default(),
        })
    }

    /// The results that are kept.
    pub(in crate::adapters) fn results(&self) -> &Cache<String, Arc<CallToolResponse>> {
        &self.results
    }

    /// The counters of kept lists.
    #[must_use]
    pub fn list_stats(&self) -> mcp_cache::CacheStats {
        self.lists.stats()
    }

    /// The counters of the tags of kept results.
    #[must_use]
    pub fn result_tags(&self) -> std::collections::BTreeMap<String, mcp_cache::TagStats> {
        self.results.tag_stats()
    }

    /// The counters of kept results.
    #[must_use]
    pub fn result_stats(&self) -> mcp_cache::CacheStats {
        self.results.stats()
    }
}

/// An [`Upstream`] in front of which lists and results are kept.
///
/// A list is fresh for as long as the upstream says; when no newer one can be had, the old one is
/// served and marked. Results are kept only as the settings say. Callers who ask a tool that only
/// reads for the same at once share one call.
pub struct CachedUpstream {
    upstream: Arc<dyn Upstream>,
    /// The connector's name and a number of its own: what one of that name with other settings has
    /// said, or is about to say, is nothing to it.
    connector: String,
    policies: Policies,
    caches: UpstreamCaches,
    /// Why the last list could not be had.
    failure: Arc<Mutex<Option<String>>>,
    /// The last list.
    known: Mutex<Option<Arc<Manifest>>>,
}

impl std::fmt::Debug for CachedUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedUpstream")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

impl CachedUpstream {
    /// Keeps what `upstream` says in `caches`, under the name of its connector, but apart from what an
    /// earlier one of that name said.
    #[must_use]
    pub fn new(
        upstream: Arc<dyn Upstream>,
        connector: &ConnectorName,
        server: &ServerConfig,
        caches: &UpstreamCaches,
    ) -> Self {
        let generation = caches.generations.fetch_add(1, Ordering::Relaxed);
        Self {
            upstream,
            connector: format!("{connector}#{generation}"),
            policies: Policies::new(connector, &server.tools),
            caches: caches.clone(),
            failure: Arc::default(),
            known: Mutex::default(),
        }
    }

    fn forget_results(&self) {
        let all = self.policies.all();
        self.caches.results.invalidate_by_tags(&[all]);
    }

    /// Another list may mean other results.
    fn compare(&self, manifest: &Arc<Manifest>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace(manifest.clone());
        drop(known);
        if before.is_some_and(|before| !before.has_same_tools(manifest)) {
            self.forget_results();
        }
    }

    /// Why a list is older than it should be, if it is.
    fn mark(&self, listed: &mut Listed, is_stale: bool) {
        listed.stale = is_stale.then(|| {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure
                .clone()
                .unwrap_or_else(|| "no newer list could be had".to_owned())
        });
        if is_stale {
            listed.fresh_until = Instant::now();
        }
    }

    /// Calls at most once for all who ask for the same at once, and keeps the result if `terms` say
    /// so.
    async fn shared(
        &self,
        call: &Call,
        tool: &RemoteTool,
        arguments: JsonObject,
        terms: Terms,
    ) -> Result<CallToolResponse, UpstreamError> {
        let owner = terms.caller_only.then_some(&call.owner);
        let key = key::of(&self.connector, owner, call, tool, &arguments);
        let (upstream, own) = (self.upstream.clone(), call.clone());
        let tool = RemoteTool {
            description: tool.description.clone(),
            repeats_arguments: tool.repeats_arguments,
        };
        let tags = terms.tags.clone();
        let load = async move || {
            let response = upstream.call(&own, &tool, arguments).await?;
            let ttl = terms.ttl.filter(|_| may_keep(&response));
            let loaded = Loaded::new(Arc::new(response));
            Ok::<_, UpstreamError>(match ttl {
                Some(ttl) => loaded
                    .ttl(ttl)
                    .tags(terms.tags.into_iter().collect::<CacheTags>()),
                None => loaded.not_kept(),
            })
        };
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let fetch = Fetch::new().tags(&tags);
        let began = Instant::now();
        let answer = self
            .caches
            .results
            .get_or_fetch_with(&key, fetch, load)
            .await;
        let is_hit = answer
            .as_ref()
            .is_ok_and(|answer| answer.source == Source::Hit);
        if !is_hit && call.notes.elsewhere().is_zero() {
            // Another caller's call was waited for, and notes it for that one.
            call.notes.add_elsewhere(began.elapsed());
        }
        let answer = answer.map_err(own_error)?;
        if is_hit {
            call.notes.set_cached();
        }
        Ok((*answer.value).clone())
    }
}

/// Whether a result may ever be kept: it is one, and it is whole.
fn may_keep(response: &CallToolResponse) -> bool {
    match response {
        CallToolResponse::Complete(result) => result.is_error != Some(true),
        _ => false,
    }
}

fn own_error(error: Error<UpstreamError>) -> UpstreamError {
    match error {
        Error::Load(error) => (*error).clone(),
        other => UpstreamError::Unavailable {
            reason: other.to_string(),
            unsent: false,
        },
    }
}

/// Invalidates when it is dropped: also when the caller of what may have changed something does not
/// wait for its end.
struct Invalidation<'a> {
    caches: &'a UpstreamCaches,
    tags: Vec<String>,
}

impl Drop for Invalidation<'_> {
    fn drop(&mut self) {
        if !self.tags.is_empty() {
            let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
            self.caches.results.invalidate_by_tags(&tags);
        }
    }
}

#[async_trait]
impl Upstream for CachedUpstream {
    async fn tools(&self, wanted: Wanted) -> Result<Listed, UpstreamError> {
        let (upstream, failure) = (self.upstream.clone(), self.failure.clone());
        let load = async move || {
            let listed = upstream.tools(wanted).await;
            let error = listed.as_ref().err().map(UpstreamError::to_string);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = error;
            let listed = listed?;
            let left = listed.fresh_until.saturating_duration_since(Instant::now());
            // What is not fresh at all is kept nevertheless, to be served on error.
            let left = left.max(Duration::from_millis(1));
            Ok::<_, UpstreamError>(Loaded::new(listed).ttl(left))
        };
        let fetch = match wanted {
            Wanted::Fresh => Fetch::new(),
            Wanted::Again | Wanted::Anew => Fetch::new().renew(),
        };
        if wanted == Wanted::Anew {
            self.forget_results();
        }
        let answer = self
            .caches
            .lists
            .get_or_fetch_with(&self.connector, fetch, load)
            .await;
        let answer = answer.map_err(own_error)?;
        let is_stale = answer.is_stale();
        let mut listed = answer.value;
        self.compare(&listed.manifest);
        self.mark(&mut listed, is_stale);
        Ok(listed)
    }

    async fn call(
        &self,
        call: &Call,
        tool: &RemoteTool,
        arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError> {
        let name = &tool.description.name;
        let mut invalidation = Invalidation {
            caches: &self.caches,
            tags: self
                .policies
                .invalidated(name, &arguments, tool.reads_only()),
        };
        let is_plain = call.exchange.as_ref().is_none_or(|exchange| {
            exchange.progress.is_none()
                && exchange.input_responses.is_none()
                && exchange.request_state.is_none()
        });
        let terms = self.policies.terms(name, &arguments);
        let is_shared = self.caches.share_calls && tool.reads_only();
        let terms = match terms {
            _ if call.bypass_cache || !is_plain => None,
            None if is_shared => Some(self.policies.sharing()),
            terms => terms,
        };
        let called = match terms {
            Some(terms) => self.shared(call, tool, arguments, terms).await,
            None => self.upstream.call(call, tool, arguments).await,
        };
        if called.as_ref().is_err_and(UpstreamError::changed_nothing) {
            invalidation.tags.clear();
        }
        called
    }

    fn pause(&self) -> Option<Until> {
        self.upstream.pause()
    }

    fn asked(&self) {
        self.upstream.asked();
    }

    async fn idle(&self) {
        self.upstream.idle().await;
    }

    async fn close(&self) {
        self.caches.lists.invalidate(&self.connector);
        self.forget_results();
        self.upstream.close().await;
    }

    fn observe(&self, name: &str, parts: &mut Parts) {
        self.upstream.observe(name, parts);
    }
}
