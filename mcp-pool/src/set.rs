//! Many pools under one cap, by upstream, identity and class of client.

use crate::{
    budget::{Budget, Share},
    builder::Builder,
    cap::{Cap, Under},
    clock::Clock,
    config::{CONNECTIONS_MAX, Config},
    error::{ConfigError, Error},
    lease::Lease,
    manager::Manager,
    observer::{Observer, Silence},
    pool::Pool,
    stats::Stats,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Parts of the map of pools, each with a lock of its own.
const SHARDS: usize = 16;
/// The class of clients that no other class is for.
pub const OTHER: &str = "other";

/// What a connection is for: connections are shared by equal keys only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Where to.
    pub upstream: Arc<str>,
    /// As whom; connections of different identities are never mixed.
    pub identity: Arc<str>,
    /// For which class of clients.
    pub class: Arc<str>,
}

impl Key {
    /// A key of these three.
    #[must_use]
    pub fn new(upstream: &str, identity: &str, class: &str) -> Self {
        Self {
            upstream: upstream.into(),
            identity: identity.into(),
            class: class.into(),
        }
    }
}

/// What one class of clients may have, over all its keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassConfig {
    /// Connections that the class can always have, whatever the others do.
    /// Default 0. Raising it takes away from what the others can borrow.
    pub guaranteed: usize,
    /// The most connections of the class. Default: as many as the set.
    pub max_connections: Option<usize>,
    /// Connections of each key that are kept open, from
    /// [`PoolSet::prewarm`] or the first use on. Default 0.
    pub min_connections: usize,
}

/// Everything a [`PoolSet`] can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetConfig {
    /// For the pool of each key; its `min_connections` is the class's.
    pub pool: Config,
    /// The most connections of all pools together. Default 100.
    pub max_connections: usize,
    /// The most keys at a time. Default 1,024. A further key takes the place of
    /// one that is not in use, or is refused. The map has 16 parts, each of
    /// which holds its share, so that a few of the last may be refused early.
    pub max_keys: usize,
    /// The classes of clients. A client of a class that is not here is of the
    /// class [`OTHER`], which is always there. Default: `cursor` and `vscode`
    /// with 20 guaranteed each, and `other` with 10.
    pub classes: BTreeMap<String, ClassConfig>,
}

impl Default for SetConfig {
    fn default() -> Self {
        let guaranteed = |guaranteed| ClassConfig {
            guaranteed,
            ..ClassConfig::default()
        };
        let classes = [("cursor", 20), ("vscode", 20), (OTHER, 10)];
        Self {
            pool: Config::default(),
            max_connections: 100,
            max_keys: 1_024,
            classes: classes
                .map(|(name, share)| (name.to_owned(), guaranteed(share)))
                .into(),
        }
    }
}

impl SetConfig {
    /// Checks every field and how they relate.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.pool.validate()?;
        let check = |holds: bool, field, reason| match holds {
            true => Ok(()),
            false => Err(ConfigError { field, reason }),
        };
        let fits = (1..=CONNECTIONS_MAX).contains(&self.max_connections);
        check(fits, "max_connections", "must be 1 to 65536")?;
        let fits = (1..=CONNECTIONS_MAX).contains(&self.max_keys);
        check(fits, "max_keys", "must be 1 to 65536")?;
        let mut guaranteed = 0usize;
        for class in self.classes.values() {
            guaranteed = guaranteed.saturating_add(class.guaranteed);
            let max = class.max_connections.unwrap_or(self.max_connections);
            check(max >= 1, "classes.max_connections", "must be at least 1")?;
            check(
                class.guaranteed <= max,
                "classes.guaranteed",
                "must be at most the class's max_connections",
            )?;
            check(
                class.min_connections <= max.min(self.pool.max_connections),
                "classes.min_connections",
                "must be at most the maximum of the class and of a pool",
            )?;
        }
        check(
            guaranteed <= self.max_connections,
            "classes.guaranteed",
            "must be at most max_connections together",
        )?;
        // Otherwise who is guaranteed nothing could never have any.
        let starved = |class: &ClassConfig| class.guaranteed == 0;
        let any_starved = !self.classes.contains_key(OTHER) || self.classes.values().any(starved);
        check(
            guaranteed < self.max_connections || !any_starved,
            "classes.guaranteed",
            "must leave something for the classes that are guaranteed nothing",
        )
    }
}

struct Class {
    name: String,
    config: ClassConfig,
}

/// Pools by key, under one cap. Clones share them.
///
/// When the cap is reached, the connection that has been idle for longest
/// makes room, of whatever class that has more than its guaranteed share, also
/// below `min_connections`; if none is idle, the next one that comes back does,
/// unless somebody has waited for it for longer. What `min_connections` asks for
/// is only made where there is room.
pub struct PoolSet<M: Manager>(Arc<Inner<M>>);

struct Inner<M: Manager> {
    config: SetConfig,
    classes: Vec<Class>,
    other: usize,
    connect: Box<dyn Fn(&Key) -> M + Send + Sync>,
    observer: Arc<dyn Observer>,
    cap: Arc<Cap>,
    clock: Clock,
    hasher: RandomState,
    /// Written before the shards are looked through, read under a shard's lock.
    closed: AtomicBool,
    shards: [Mutex<HashMap<Key, Pool<M>>>; SHARDS],
}

impl<M: Manager> Clone for PoolSet<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Manager> PoolSet<M> {
    /// A set without pools; `connect` makes the manager for a key.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn new(
        config: &SetConfig,
        connect: impl Fn(&Key) -> M + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        Self::with_observer(config, connect, Arc::new(Silence))
    }

    /// As [`new`](Self::new), with an observer of all pools.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn with_observer(
        config: &SetConfig,
        connect: impl Fn(&Key) -> M + Send + Sync + 'static,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut classes: Vec<_> = config
            .classes
            .iter()
            .map(|(name, config)| Class {
                name: name.clone(),
                config: config.clone(),
            })
            .collect();
        let other = classes.iter().position(|class| class.name == OTHER);
        let other = other.unwrap_or_else(|| {
            classes.push(Class {
                name: OTHER.to_owned(),
                config: ClassConfig::default(),
            });
            classes.len() - 1
        });
        let shares = classes.iter().map(|class| Share {
            guaranteed: class.config.guaranteed,
            max: class
                .config
                .max_connections
                .unwrap_or(config.max_connections),
        });
        let budget = Budget::new(config.max_connections, shares.collect());
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            classes,
            other,
            connect: Box::new(connect),
            observer,
            cap: Cap::new(budget),
            clock: Clock::start(),
            hasher: RandomState::new(),
            closed: AtomicBool::new(false),
            shards: Default::default(),
        })))
    }

    /// A connection for the key.
    ///
    /// # Cancel safety
    /// As [`Pool::get`].
    ///
    /// # Errors
    /// As [`Pool::get`]; [`Error::Overloaded`] if too many keys are in use.
    ///
    /// # Panics
    /// Outside of a tokio runtime, for a new key.
    pub async fn get(&self, key: &Key) -> Result<Lease<'static, M>, Error> {
        self.pool(key)?.get_owned().await
    }

    /// Makes the connections that the key's class keeps for each key.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if too many keys are in use.
    ///
    /// # Panics
    /// Outside of a tokio runtime, for a new key.
    pub fn prewarm(&self, key: &Key) -> Result<(), Error> {
        self.pool(key).map(drop)
    }

    /// The pool of the key, which is made if it is not there. `connect` is called
    /// with a part of the set locked: it must not ask the set for anything.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if too many keys are in use; [`Error::Closed`] if the
    /// set is closed.
    ///
    /// # Panics
    /// Outside of a tokio runtime, for a new key.
    pub fn pool(&self, key: &Key) -> Result<Pool<M>, Error> {
        let inner = &self.0;
        let class = inner.class(&key.class);
        // All names that are of no class of their own are one.
        let mut key = key.clone();
        if class == inner.other {
            key.class = OTHER.into();
        }
        let mut shard = inner.shard(&key).lock();
        if let Some(pool) = shard.get(&key) {
            return Ok(pool.clone());
        }
        if inner.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let limit = inner.config.max_keys.div_ceil(SHARDS);
        let mut removed = None;
        if shard.len() >= limit {
            let unused = shard.iter().find(|(_, pool)| pool.is_only_here());
            let unused = unused.map(|(key, _)| key.clone());
            let unused = unused.ok_or(Error::Overloaded { limit })?;
            removed = shard.remove(&unused);
        }
        let pool = inner.make(&key, class);
        shard.insert(key, pool.clone());
        drop(shard);
        // Its connections are closed, and the observer told, without the lock.
        drop(removed);
        Ok(pool)
    }

    /// Each key's counters.
    #[must_use]
    pub fn stats(&self) -> Vec<(Key, Stats)> {
        let shards = self.0.shards.iter();
        let stats = shards.flat_map(|shard| {
            let shard = shard.lock();
            let stats = shard.iter().map(|(key, pool)| (key.clone(), pool.stats()));
            stats.collect::<Vec<_>>()
        });
        stats.collect()
    }

    /// Connections that each class has now, by the class's name.
    #[must_use]
    pub fn used(&self) -> Vec<(String, usize)> {
        let classes = self.0.classes.iter().enumerate();
        classes
            .map(|(at, class)| (class.name.clone(), self.0.cap.used(at)))
            .collect()
    }

    /// Closes all pools, and waits for what is lent; no further key is served.
    ///
    /// # Cancel safety
    /// All pools are closed from the first poll on; dropping this only ends the
    /// wait.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        let shards = self.0.shards.iter();
        let pools: Vec<_> = shards
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect();
        for pool in &pools {
            pool.begin_close();
        }
        for pool in &pools {
            pool.close().await;
        }
    }
}

impl<M: Manager> Inner<M> {
    fn class(&self, name: &str) -> usize {
        let class = self.classes.iter().position(|class| class.name == name);
        class.unwrap_or(self.other)
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Pool<M>>> {
        let hash = self.hasher.hash_one(key);
        #[expect(clippy::cast_possible_truncation, reason = "reduced to a few bits")]
        let at = hash as usize % SHARDS;
        &self.shards[at]
    }

    fn make(&self, key: &Key, class: usize) -> Pool<M> {
        let config = Config {
            min_connections: self.classes[class].config.min_connections,
            max_idle: None,
            ..self.config.pool.clone()
        };
        let under = Under {
            cap: Arc::clone(&self.cap),
            class,
        };
        Builder::new(&config)
            .observer(Arc::clone(&self.observer))
            .build_under((self.connect)(key), under, self.clock)
    }
}

impl<M: Manager> fmt::Debug for PoolSet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSet")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
