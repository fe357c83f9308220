//! Filling a cache before it is asked.

use crate::{Cache, Fetch, Loaded, Source, load::Begun, remote::Tier};
use serde::Serialize;
use std::{collections::HashMap, hash::Hash, num::NonZero};
use tokio::task::JoinSet;

/// How far warming has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Warmed {
    /// Keys whose value was loaded.
    pub loaded: u64,
    /// Keys that had one already, or that somebody else loaded meanwhile.
    pub present: u64,
    /// Keys whose load failed, passed its deadline or panicked.
    pub failed: u64,
}

impl Warmed {
    /// Keys that are done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.loaded + self.present + self.failed
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Loads those of `keys` that are missing, in their order, at most
    /// `loads_max` at once; `progress` hears of every key that is done. A key that
    /// fails does not stop the others.
    ///
    /// The loads obey invalidations like all others: what is invalidated while it
    /// is loaded is not kept. Past the cache nothing is kept, so nothing is loaded:
    /// keys that come while it is [passed by](Self::set_bypass), or with
    /// [`Fetch::bypass`], are left out and not counted.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future drops the loads in flight; what was loaded stays.
    pub async fn warm<F, L, E>(
        &self,
        keys: impl IntoIterator<Item = K>,
        fetch: Fetch<'_>,
        loads_max: NonZero<usize>,
        load: impl Fn(&K) -> F,
        mut progress: impl FnMut(&Warmed),
    ) -> Warmed
    where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        let mut warmed = Warmed::default();
        let mut loads = JoinSet::new();
        let mut keys = keys.into_iter();
        loop {
            while loads.len() < loads_max.get() {
                let next = keys.next().filter(|_| !self.is_past(&fetch));
                let Some(key) = next else { break };
                let mut want = self.want(&key, &fetch).to_owned();
                // It may read the source at once, so it has begun when the want was taken.
                want.begun = Some(Begun {
                    born: self.inner.tier.as_ref().and_then(Tier::born),
                });
                let (cache, loading) = (self.clone(), load(&key));
                loads.spawn(async move { cache.inner.fetch(&want, None, || loading).await });
            }
            let Some(ended) = loads.join_next().await else {
                return warmed;
            };
            match ended.map(|result| result.map(|answer| answer.source)) {
                Ok(Ok(Source::Loaded)) => warmed.loaded += 1,
                Ok(Ok(_)) => warmed.present += 1,
                Ok(Err(_)) | Err(_) => warmed.failed += 1,
            }
            progress(&warmed);
        }
    }
}

/// The `len_max` keys that an access log names most often, most often first; what
/// [`Cache::warm`] is to be given after a restart. Keys that are named equally
/// often keep the order in which they came.
///
/// Holds every distinct key of the log in memory.
pub fn hottest<K: Hash + Eq + Clone>(log: impl IntoIterator<Item = K>, len_max: usize) -> Vec<K> {
    let mut counts: HashMap<K, (u64, usize)> = HashMap::new();
    for (at, key) in log.into_iter().enumerate() {
        counts.entry(key).or_insert((0, at)).0 += 1;
    }
    let mut keys: Vec<_> = counts.into_iter().collect();
    keys.sort_unstable_by_key(|(_, (count, at))| (std::cmp::Reverse(*count), *at));
    keys.truncate(len_max);
    keys.into_iter().map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_keys_of_a_log_come_first() {
        let log = ["c", "a", "b", "a", "b", "a", "d"];
        assert_eq!(hottest(log, 3), ["a", "b", "c"]);
        assert_eq!(hottest(log, 9), ["a", "b", "c", "d"]);
        assert!(hottest(log, 0).is_empty());
    }
}
