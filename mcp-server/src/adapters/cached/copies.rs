//! What is kept in this process, and what keeps it true.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use mcp_cache::{Cache, Loaded};

use super::{
    follower::{EVERY_MEMORY, Follower, tag},
    key,
    standing::{Rules, Standing},
    value::{Kept, Offered, Value},
};
use crate::memory::{Memory, MemoryError, Owner};

/// What is kept in this process, and what keeps it true.
pub(super) struct Copies {
    pub(super) cache: Cache<String, Value>,
    pub(super) follower: Follower,
    pub(super) ttl: Duration,
    pub(super) rules: Rules,
}

impl Copies {
    /// Has the cache follow all changes that were acknowledged before the call, and returns the last
    /// one.
    pub(super) async fn follow(&self) -> Result<i64, MemoryError> {
        let keep = |owner: Owner, memory: &Memory| self.keep(&owner, memory);
        self.follower.catch_up(keep).await
    }

    /// Follows, and knows what was changed before it began to.
    pub(super) async fn look_back(&self) -> Result<(), MemoryError> {
        self.follow().await?;
        self.follower.look_back().await
    }

    fn keep(&self, owner: &Owner, memory: &Memory) {
        let key = key::of_memory(owner, &memory.id);
        // A copy, for searches hold the other and do not count what is written beside it.
        let kept = Kept::new(Arc::new(memory.clone()));
        if let Some(loaded) = loaded_memory(kept, false, self.ttl) {
            self.cache.put_since(self.cache.ticket(), key, loaded);
        }
    }

    /// A memory from the cache.
    pub(super) fn kept_memory(&self, key: &str) -> Option<(Kept, Offered)> {
        match self.cache.try_get(key) {
            Some(Value::Memory(kept, offered)) if kept.is_alive(now_ms()) => Some((kept, offered)),
            _ => None,
        }
    }

    pub(super) fn brought_up_to_date(&self, standing: &Standing) -> Option<Standing> {
        let rules = self.rules;
        self.follower
            .with_recent(|recent| standing.follow(recent, rules))
    }
}

/// A search as the cache keeps it, for `left`. What makes everything uncertain makes it so, too.
pub(super) fn loaded_search(standing: Arc<Standing>, left: Duration) -> Loaded<Value> {
    let value = Loaded::new(Value::Search(standing));
    value.tags([EVERY_MEMORY]).ttl(left)
}

/// A memory as the cache keeps it, be it that it was offered to other processes; `None` when it has
/// expired.
pub(super) fn loaded_memory(kept: Kept, offered: bool, ttl: Duration) -> Option<Loaded<Value>> {
    let lives_ms = kept
        .memory
        .expires_at
        .map(|at| at.as_millisecond().saturating_sub(now_ms()));
    let lives = match lives_ms.map(u64::try_from) {
        None => ttl,
        Some(Ok(ms)) if ms > 0 => ttl.min(Duration::from_millis(ms)),
        Some(_) => return None,
    };
    let tags = [tag(&kept.memory.id), EVERY_MEMORY.to_owned()];
    let value = Value::Memory(kept, Offered::new(offered));
    Some(Loaded::new(value).tags(tags).ttl(lives))
}

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
