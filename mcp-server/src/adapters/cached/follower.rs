//! Follows the changes of the store, by whomever, and has the cache forget what they make wrong.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mcp_cache::{CacheEventBus, CacheInvalidationEvent};
use tokio::{sync::Mutex, time::timeout};

use super::CacheConfig;
use crate::{
    memory::{Changes, Memory, MemoryError, MemoryId, Owner, Version, search::Recent},
    ports::ChangeFeed,
};

/// After so many changes at once nothing is told one by one any more.
const CHANGES_MAX: usize = 1_000;

/// The tag of every memory in a cache.
pub(super) const EVERY_MEMORY: &str = "memory";

/// The tag of one memory.
pub(super) fn tag(id: &MemoryId) -> String {
    format!("memory:{id}")
}

/// Knows how far the changes have been followed.
pub(super) struct Follower {
    feed: Arc<dyn ChangeFeed>,
    bus: CacheEventBus,
    recent_bytes_max: usize,
    timeout: Duration,
    known: RwLock<Known>,
    /// Rounds of reading the changes that have begun.
    begun: AtomicU64,
    /// The last round that ended well. Held by the one who reads the changes for all who wait.
    turn: Mutex<u64>,
}

#[derive(Debug, Default)]
struct Known {
    /// The state of the store that was followed to; everything before it has been applied.
    version: Option<Version>,
    recent: Option<Recent>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    pub(super) fn new(feed: Arc<dyn ChangeFeed>, bus: CacheEventBus, config: &CacheConfig) -> Self {
        Self {
            feed,
            bus,
            recent_bytes_max: config.changes_bytes_max,
            timeout: config.follow_timeout,
            known: RwLock::default(),
            begun: AtomicU64::new(0),
            turn: Mutex::new(0),
        }
    }

    /// Has everything applied that was acknowledged before the call, and returns the last change
    /// that was. Hands memories as they have become to `keep`.
    ///
    /// # Errors
    ///
    /// Those of the feed, also when it takes too long. Then nothing may be read from the cache.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has applied what it read, or nothing; whoever waited reads it then.
    pub(super) async fn catch_up(
        &self,
        keep: impl Fn(Owner, &Memory) + Send,
    ) -> Result<i64, MemoryError> {
        if let Some(upto) = self.current() {
            return Ok(upto);
        }
        let caught_up = timeout(self.timeout, self.advance(keep)).await;
        caught_up.unwrap_or_else(|_| {
            Err(MemoryError::Unavailable {
                reason: "its changes could not be read in time".to_owned(),
            })
        })
    }

    /// The last change that was applied, if there is none after it.
    fn current(&self) -> Option<i64> {
        let version = self.feed.version()?;
        let known = self.read();
        match known.version == Some(version) {
            true => known.recent.as_ref().map(Recent::upto),
            false => None,
        }
    }

    async fn advance(&self, keep: impl Fn(Owner, &Memory) + Send) -> Result<i64, MemoryError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut done = self.turn.lock().await;
        if let Some(upto) = self.current() {
            return Ok(upto);
        }
        // A round that began after this call did has read all that this call must see.
        if *done > before
            && let Some(upto) = self.read().recent.as_ref().map(Recent::upto)
        {
            return Ok(upto);
        }
        let round = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        // Before the changes: what is committed in between is then read once more, not missed.
        let version = self.feed.version();
        let after = self.read().recent.as_ref().map(Recent::upto);
        let changes = self.feed.changes(after, CHANGES_MAX).await?;
        let upto = changes.upto;
        self.apply(changes, keep);
        // Only now may others believe that they need not ask.
        self.write().version = version;
        *done = round;
        Ok(upto)
    }

    fn apply(&self, changes: Changes, keep: impl Fn(Owner, &Memory)) {
        let Changes { upto, list } = changes;
        let Some(list) = list else {
            self.write().recent = Some(Recent::new(upto, self.recent_bytes_max));
            self.publish(vec![EVERY_MEMORY.into()]);
            return;
        };
        if list.is_empty() {
            return;
        }
        let tags = list.iter().map(|change| tag(&change.id).into()).collect();
        let now: Vec<_> = list
            .iter()
            .filter_map(|change| change.now.as_ref())
            .map(|now| (now.owner.clone(), now.memory.clone()))
            .collect();
        if let Some(recent) = &mut self.write().recent {
            list.into_iter().for_each(|change| recent.apply(change));
        }
        self.publish(tags);
        now.into_iter()
            .for_each(|(owner, memory)| keep(owner, &memory));
    }

    fn publish(&self, tags: Vec<Cow<'static, str>>) {
        self.bus.publish(CacheInvalidationEvent::Custom {
            name: "memories_changed".to_owned(),
            tags: tags.into_iter().collect(),
        });
    }

    /// Asks the latest changes.
    pub(super) fn with_recent<T>(&self, ask: impl FnOnce(&Recent) -> Option<T>) -> Option<T> {
        self.read().recent.as_ref().and_then(ask)
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
