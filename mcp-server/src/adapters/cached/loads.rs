//! What is not in this process's memory: asked of what is shared, then of the store.

use std::sync::Arc;

use mcp_cache::{Error, Fetch, Loaded, Source};
use tokio::time::Instant;

use super::{
    CachedStore,
    copies::{Copies, loaded_memory, loaded_search, now_ms},
    follower::{EVERY_MEMORY, Since, tag},
    shared::{Offer, Shared, Writer},
    standing::Standing,
    value::{Kept, Offered, Value},
};
use crate::{
    call::Call,
    memory::{Found, Get, Memory, MemoryError, Search, search::Query},
};

/// A kept search is offered to other processes again after so many changes: one that begins can
/// follow it for [four times](follower) as many.
pub(super) const OFFERED_EVERY: i64 = 250;

/// The ways to and from what is shared; clones are the same.
#[derive(Clone)]
pub(super) struct Tier {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Arc<Writer>,
}

impl CachedStore {
    pub(super) async fn load_memory(
        &self,
        call: &Call,
        get: Get,
        key: &String,
    ) -> Result<Arc<Memory>, MemoryError> {
        let tag = tag(&get.id);
        let (store, owned, ttl) = (self.store.clone(), call.clone(), self.copies.ttl);
        let (tier, copies) = (self.shared.clone(), self.copies.clone());
        let (wanted, name) = (get.clone(), key.clone());
        let load = async move || {
            let shared = match &tier {
                Some(tier) => {
                    let id = &wanted.id;
                    tier.shared.memory(&name, id, &copies.follower).await
                }
                None => None,
            };
            let memory = match shared {
                Some(memory) => {
                    owned.notes.set_cached();
                    memory
                }
                None => {
                    let since = copies.follower.since();
                    let memory = store.get(&owned, wanted).await?;
                    if let (Some(tier), Some(since)) = (&tier, since) {
                        tier.offer_memory(name, since, &memory);
                    }
                    memory
                }
            };
            let kept = Kept::new(memory);
            let value = Value::Memory(kept.clone(), Offered::new(true));
            Ok(loaded_memory(kept, true, ttl).unwrap_or_else(|| Loaded::new(value).not_kept()))
        };
        let tags = [tag.as_str()];
        let fetch = Fetch::new().tags(&tags);
        let answer = self.copies.cache.get_or_fetch_with(key, fetch, load).await;
        match answer.map_err(own)?.value {
            Value::Memory(kept, _) if kept.is_alive(now_ms()) => Ok(kept.memory),
            // It has just expired: the store says so in its own words.
            _ => self.store.get(call, get).await,
        }
    }

    /// Runs the search, once for all who ask at once, and keeps it.
    pub(super) async fn load_search(
        &self,
        call: &Call,
        (search, query): (Search, Query),
        key: &String,
        upto: i64,
    ) -> Result<Found, MemoryError> {
        let (store, owned) = (self.store.clone(), call.clone());
        let (tier, copies) = (self.shared.clone(), self.copies.clone());
        let (query, name) = (Arc::new(query), key.clone());
        let mut wider = search.clone();
        let asked = query.limit().saturating_add(self.copies.rules.spares);
        wider.limit = Some(u32::try_from(asked).unwrap_or(u32::MAX));
        let load = async move || {
            if let Some(tier) = &tier
                && let Some(standing) = tier.search(&name, &query, &copies).await
            {
                owned.notes.set_cached();
                let left = standing.until().saturating_duration_since(Instant::now());
                return Ok(loaded_search(Arc::new(standing), left));
            }
            let (since, until) = (copies.follower.since(), Instant::now() + copies.ttl);
            let mut found = store.search(&owned, wider).await?;
            Ok(match Standing::new(query.clone(), &found, asked, until) {
                Some(mut standing) => {
                    standing.is_to_be_offered(OFFERED_EVERY);
                    let standing = Arc::new(standing);
                    if let (Some(tier), Some(since)) = (&tier, since) {
                        tier.offer_search(&name, since, &standing);
                    }
                    loaded_search(standing, copies.ttl)
                }
                None => {
                    found.truncated |= found.memories.len() > query.limit();
                    found.memories.truncate(query.limit());
                    Loaded::new(Value::Once(Arc::new(found))).not_kept()
                }
            })
        };
        let fetch = Fetch::new().renew().tags(&[EVERY_MEMORY]);
        let answer = self.copies.cache.get_or_fetch_with(key, fetch, load).await;
        let answer = answer.map_err(own)?;
        // Somebody else's search may have begun before the changes that this one has to see.
        let own = answer.source == Source::Loaded;
        let found = match answer.value {
            Value::Search(standing) if own || standing.upto() >= upto => {
                standing.answer(now_ms(), self.answer_bytes_max)
            }
            Value::Search(standing) => self
                .copies
                .brought_up_to_date(&standing)
                .and_then(|standing| standing.answer(now_ms(), self.answer_bytes_max)),
            Value::Once(found) if own => Some(((*found).clone(), 0)),
            _ => None,
        };
        match found {
            Some((found, _)) => Ok(found),
            None => self.store.search(call, search).await,
        }
    }
}

impl Tier {
    async fn search(&self, key: &str, query: &Arc<Query>, copies: &Copies) -> Option<Standing> {
        let terms = (copies.rules, copies.ttl);
        self.shared
            .search(key, query, terms, &copies.follower)
            .await
    }

    pub(super) fn offer_memory(&self, key: String, since: Since, memory: &Arc<Memory>) {
        let memory = memory.clone();
        self.writer.offer(Offer::Memory { key, since, memory });
    }

    pub(super) fn offer_search(&self, key: &str, since: Since, standing: &Arc<Standing>) {
        let (key, standing) = (key.to_owned(), standing.clone());
        self.writer.offer(Offer::Search {
            key,
            since,
            standing,
        });
    }
}

/// The store's error, of which everybody who waited gets a copy.
fn own(error: Error<MemoryError>) -> MemoryError {
    match error.into_load() {
        Some(error) => Arc::unwrap_or_clone(error),
        None => MemoryError::Internal {
            reason: "a load through the cache was given up".to_owned(),
        },
    }
}
