//! Copies that are as new as the store, whoever writes to it.

use std::sync::atomic::{AtomicU64, Ordering};

use mcp_cache::Cache;
use tokio::sync::Mutex;

use super::Held;
use crate::{
    context::{ContextError, ContextKey},
    ports::ContextStore,
};

/// A mark that no store gives, or one that was given by chance and is not used.
const NO_MARK: u64 = 0;

/// What is known of the store.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// The store's mark from before it was last asked for its changes.
    mark: AtomicU64,
    /// Rounds of asking that have begun, and those among them that have ended well.
    begun: AtomicU64,
    done: Mutex<Done>,
}

/// The last round that ended well.
#[derive(Debug, Default)]
struct Done {
    round: u64,
    /// Every put up to this one is in the cache or invalidated there.
    revision: u64,
}

impl Freshness {
    pub(super) fn catch_ups(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Invalidates what was put before this call began and is not in the cache. Of all who find
    /// that there is something new one asks for it; who comes while it does waits for the next
    /// round, and shares that one with all who wait.
    ///
    /// # Errors
    ///
    /// Those of the store: then no copy may be used.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the round to the next caller.
    pub(super) async fn catch_up(
        &self,
        store: &dyn ContextStore,
        cache: &Cache<ContextKey, Held>,
    ) -> Result<(), ContextError> {
        if self.is_current(store) {
            return Ok(());
        }
        let before = self.begun.load(Ordering::SeqCst);
        let mut done = self.done.lock().await;
        // A round that began after this call did has seen all that this call must see.
        if done.round > before {
            return Ok(());
        }
        let round = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        // Taken before the changes are read: what comes in between is asked for twice.
        let mark = store.mark();
        let changes = store.changes_after(done.revision).await?;
        match changes.complete {
            true => {
                for (key, revision) in &changes.puts {
                    // What was put through this cache is there already.
                    let copy = cache.try_get(key);
                    if copy.is_none_or(|copy| copy.revision < *revision) {
                        cache.invalidate(key);
                    }
                }
            }
            false => cache.clear(),
        }
        *done = Done {
            round,
            revision: changes.revision,
        };
        self.mark.store(mark.unwrap_or(NO_MARK), Ordering::Release);
        Ok(())
    }

    fn is_current(&self, store: &dyn ContextStore) -> bool {
        let known = self.mark.load(Ordering::Acquire);
        known != NO_MARK && store.mark() == Some(known)
    }
}
