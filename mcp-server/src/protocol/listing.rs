//! The list of tools, as clients are told it, and how long they may keep it.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{CacheScope, ListToolsResult, MetaObject, PaginatedRequestParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::tools::{Freshness, Registry};

/// How long clients may keep what the server says of itself: it changes only with the program.
pub(super) const TTL: Duration = Duration::from_secs(300);

/// All tools, on one page.
pub(super) fn listed(registry: &Registry) -> ListToolsResult {
    let remote = registry.remote();
    let tools = registry.descriptions().chain(remote.descriptions());
    let terms = Terms::of(&remote.freshness);
    let mut result = ListToolsResult::with_all_items(tools.cloned().collect())
        .with_ttl_ms(terms.ttl_ms)
        .with_cache_scope(terms.scope);
    result.meta = terms.meta;
    result
}

/// On what terms clients may keep the list at this moment.
pub(super) struct Terms {
    pub(super) ttl_ms: u64,
    pub(super) scope: CacheScope,
    /// What is said beside it: which upstreams' tools are from earlier, and from when.
    pub(super) meta: Option<MetaObject>,
}

impl Terms {
    /// A list is fresh as long as each part of it is.
    pub(super) fn of(freshness: &Freshness) -> Self {
        let now = Instant::now();
        let left = freshness
            .until
            .map(|until| until.saturating_duration_since(now));
        let stale = freshness.stale_since.iter().map(|(name, since)| {
            let age_ms = millis(now.saturating_duration_since(*since));
            (name.clone(), json!({"age_ms": age_ms}))
        });
        let stale: serde_json::Map<String, Value> = stale.collect();
        Self {
            ttl_ms: millis(left.unwrap_or(TTL).min(TTL)),
            scope: match freshness.private {
                true => CacheScope::Private,
                false => CacheScope::Public,
            },
            meta: (!stale.is_empty()).then(|| {
                let mut meta = MetaObject::new();
                meta.insert("stale".to_owned(), json!(true));
                meta.insert("mcp-server/stale-connectors".to_owned(), stale.into());
                meta
            }),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// No list has a second page.
pub(super) fn only_page(
    request: Option<PaginatedRequestParams>,
    what: &str,
) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(cursor) => Err(ErrorData::invalid_params(
            format!("unknown cursor `{cursor}`: the list of {what} has one page"),
            None,
        )),
    }
}
