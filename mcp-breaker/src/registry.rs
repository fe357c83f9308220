//! One breaker per key, for a bounded number of keys.

use crate::{
    Breaker, Config, ConfigError, Observer, State,
    clock::{Clock, ClockKind},
    config::{check, check_delay, to_ns},
};
use lru::LruCache;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a [`Registry`] can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// The configuration of every breaker.
    pub breaker: Config,
    /// The most keys, 1 to a million. Default 1024; each one costs about
    /// 1.7 KiB with the default window, and 4 KiB more once it has a subscriber.
    pub keys_max: usize,
    /// A key that was not asked for this long is forgotten. Default `10m`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub idle_timeout: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            breaker: Config::default(),
            keys_max: 1024,
            idle_timeout: Duration::from_secs(600),
        }
    }
}

impl RegistryConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.breaker.validate()?;
        check(
            (1..=1_000_000).contains(&self.keys_max),
            "keys_max",
            "must be from 1 to 1000000",
        )?;
        check_delay(self.idle_timeout, "idle_timeout")
    }
}

/// When the table is full, this many of the longest unused keys are looked at
/// for one that can be forgotten without loss.
const LOOKS_FOR_VICTIM: usize = 16;
/// Idle keys forgotten per request for a key: two, so that they cannot pile up
/// and no request pays for all of them.
const REAPED_PER_GET: usize = 2;

/// One breaker per key. The table is bounded, and forgets keys that nobody
/// asks for.
///
/// A full table forgets a breaker that is not closed, or that a caller holds,
/// only if it finds no other, because forgetting it means letting every call
/// through again. Nobody asked for an idle one in a long time: it goes as soon
/// as it would let a call through anyway.
pub struct Registry<K> {
    table: Mutex<Table<K>>,
    config: RegistryConfig,
    idle_timeout_ns: u64,
    clock: Clock,
    observe: Option<Arc<ObserverOf<K>>>,
}

type ObserverOf<K> = dyn Fn(&K) -> Arc<dyn Observer> + Send + Sync;

struct Table<K> {
    entries: LruCache<K, Entry>,
    stats: RegistryStats,
}

struct Entry {
    breaker: Breaker,
    used_ns: u64,
}

/// A registry's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RegistryStats {
    /// Keys at this moment.
    pub keys: usize,
    /// Breakers made.
    pub created: u64,
    /// Keys forgotten because nobody asked for them.
    pub evicted_idle: u64,
    /// Keys forgotten because the table was full.
    pub evicted_full: u64,
    /// Those among `evicted_full` whose breaker was held or not closed: the
    /// table is too small.
    pub evicted_active: u64,
}

impl<K: Hash + Eq + Clone> Registry<K> {
    /// An empty registry.
    ///
    /// # Errors
    /// [`RegistryConfig::validate`] found a field that makes no sense.
    pub fn new(config: RegistryConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            table: Mutex::new(Table {
                entries: LruCache::unbounded(),
                stats: RegistryStats::default(),
            }),
            idle_timeout_ns: to_ns(config.idle_timeout),
            clock: Clock::start(ClockKind::Precise),
            config,
            observe: None,
        })
    }

    /// Gives every breaker made from now on the observer that `observe` returns
    /// for its key. `observe` runs while the table is locked: it must not come
    /// back to the registry.
    #[must_use]
    pub fn with_observers(
        mut self,
        observe: impl Fn(&K) -> Arc<dyn Observer> + Send + Sync + 'static,
    ) -> Self {
        self.observe = Some(Arc::new(observe));
        self
    }

    /// The breaker of `key`, made if there is none. Locks the table for a
    /// moment; a caller with a steady key should keep the breaker.
    pub fn breaker(&self, key: &K) -> Breaker {
        let now_ns = self.clock.now_ns();
        let mut table = self.lock();
        if let Some(entry) = table.entries.get_mut(key) {
            entry.used_ns = now_ns;
            let breaker = entry.breaker.clone();
            self.reap(&mut table, now_ns, REAPED_PER_GET);
            return breaker;
        }
        self.reap(&mut table, now_ns, REAPED_PER_GET);
        if table.entries.len() >= self.config.keys_max {
            table.evict_one();
        }
        let observer = self.observe.as_ref().map(|observe| observe(key));
        let breaker = Breaker::assemble(&self.config.breaker, observer);
        let entry = Entry {
            breaker: breaker.clone(),
            used_ns: now_ns,
        };
        table.entries.put(key.clone(), entry);
        table.stats.created += 1;
        breaker
    }

    /// Forgets all keys that nobody asked for in `idle_timeout`; returns how
    /// many. Every request for a key does a part of this, so that calling it
    /// is needed only to free memory when requests stop.
    pub fn evict_idle(&self) -> usize {
        let now_ns = self.clock.now_ns();
        let mut table = self.lock();
        self.reap(&mut table, now_ns, usize::MAX)
    }

    /// Every key and its breaker, the most recently used first.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(K, Breaker)> {
        let table = self.lock();
        table
            .entries
            .iter()
            .map(|(key, entry)| (key.clone(), entry.breaker.clone()))
            .collect()
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> RegistryStats {
        let table = self.lock();
        RegistryStats {
            keys: table.entries.len(),
            ..table.stats
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table<K>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table is in the order of use, so that idle keys are at its end. One
    /// that must stay is moved to the front, to let those behind it come up.
    fn reap(&self, table: &mut Table<K>, now_ns: u64, at_most: usize) -> usize {
        let mut reaped = 0;
        for _ in 0..table.entries.len().min(at_most) {
            let idle = table.entries.peek_lru().is_some_and(|(_, entry)| {
                now_ns.saturating_sub(entry.used_ns) >= self.idle_timeout_ns
            });
            if !idle {
                break;
            }
            let Some((key, mut entry)) = table.entries.pop_lru() else {
                break;
            };
            if entry.may_be_reaped() {
                reaped += 1;
            } else {
                entry.used_ns = now_ns;
                table.entries.put(key, entry);
            }
        }
        table.stats.evicted_idle += reaped as u64;
        reaped
    }
}

impl<K: Hash + Eq + Clone> Table<K> {
    fn evict_one(&mut self) {
        let mut oldest = self.entries.iter().rev().take(LOOKS_FOR_VICTIM);
        let at_rest = oldest
            .find(|(_, entry)| entry.is_at_rest())
            .map(|(key, _)| key.clone());
        self.stats.evicted_full += 1;
        match at_rest {
            Some(key) => drop(self.entries.pop(&key)),
            None => {
                self.stats.evicted_active += 1;
                self.entries.pop_lru();
            }
        }
    }
}

impl Entry {
    /// Whether forgetting this breaker loses nothing but its window. A
    /// half-open one is not at rest: its successor would admit every call.
    fn is_at_rest(&self) -> bool {
        !self.is_held() && self.breaker.state() == State::Closed
    }

    /// The milder rule for a key that nobody asks for: what would let a call
    /// through may go, also half-open or past its delay.
    fn may_be_reaped(&self) -> bool {
        !self.is_held() && self.breaker.state() != State::Disabled && self.breaker.is_ready()
    }

    fn is_held(&self) -> bool {
        Arc::strong_count(&self.breaker.0) > 1
    }
}

impl<K> fmt::Debug for Registry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
