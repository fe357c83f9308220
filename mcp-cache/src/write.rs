//! Writes to the source that the cache hears of.

use crate::{Cache, Inserted, Loaded, Origin, Ticket};
use std::{fmt, hash::Hash};

/// A write of one key's source, from before it begins.
///
/// [Commit](Self::commit) what was written to have it in the cache; drop the write
/// to have the key invalidated, which is right whenever nobody knows what came of
/// it: an error, a cancelled call, a write that does not know the new value.
#[must_use = "take it before the write, and commit or drop it after"]
pub struct Write<'a, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    cache: &'a Cache<K, V>,
    /// `None` once it is committed.
    key: Option<K>,
    ticket: Ticket,
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Begins a write; to be called before the source is written.
    ///
    /// ```
    /// use mcp_cache::{Cache, Config, Inserted};
    ///
    /// # fn main() -> Result<(), mcp_cache::ConfigError> {
    /// let cache: Cache<&str, u32> = Cache::new(&Config::default())?;
    /// let (first, second) = (cache.begin_write("a"), cache.begin_write("a"));
    /// // The source is written twice, in an order that nobody here knows.
    /// assert_eq!(first.commit(1), Inserted::Stored);
    /// assert_eq!(second.commit(2), Inserted::Conflict);
    /// assert_eq!(cache.try_get("a"), None, "the next reader loads the one that won");
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_write(&self, key: K) -> Write<'_, K, V> {
        Write {
            cache: self,
            key: Some(key),
            ticket: self.ticket(),
        }
    }

    /// Write-through: calls `write`, and has what its future returns in the cache.
    /// Of writes of one key that overlap neither value is kept, so that the older
    /// one is not left. The source must not be written before `write` is called.
    ///
    /// # Errors
    /// Those of `write`; the key is invalidated then.
    ///
    /// # Cancel safety
    /// Dropping the future drops the write and invalidates the key, since the source
    /// may have been written.
    pub async fn write_through<F, L, E>(&self, key: K, write: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<L, E>>,
        L: Into<Loaded<V>>,
    {
        let begun = self.begin_write(key);
        let loaded = write().await?.into();
        let value = loaded.value.clone();
        begun.commit(loaded);
        Ok(value)
    }
}

impl<K, V> Write<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Stores the value that the source holds now, unless another write or an
    /// invalidation of the key came in between: then the key is left without one.
    pub fn commit(mut self, loaded: impl Into<Loaded<V>>) -> Inserted {
        let Some(key) = self.key.clone() else {
            return Inserted::Conflict;
        };
        let loaded = loaded.into();
        let tags = self.cache.inner.tags_of(&loaded);
        let origin = (self.ticket, Origin::Write);
        let inserted = self.cache.replace(key, loaded, &tags, origin);
        // Given up afterwards: if a weigher or a clone panics, the key is invalidated.
        self.key = None;
        inserted
    }
}

impl<K, V> Drop for Write<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.cache.invalidate(&key);
        }
    }
}

impl<K, V> fmt::Debug for Write<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}
