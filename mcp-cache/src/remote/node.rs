//! One process's end of a second tier: what its caches share.

use super::{
    config::RemoteConfig,
    guard::Guard,
    lease::Lease,
    mirror::Mirror,
    pending::Pending,
    scope::{Kind, Mark, Scope},
    stats::Counters,
    store::{Backplane, RemoteStore},
    writer::Writes,
};
use crate::{
    Epochs, Observer, RemoteError, RemoteEvent,
    clock::Clock,
    sync::{RwLock, read, write},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// A cache that obeys the other processes.
pub(crate) trait Listener: Send + Sync {
    /// A record's key was invalidated; the cache's name and `:` are cut off.
    fn forget_key(&self, key: &[u8]);
    fn forget_all(&self);
}

pub(crate) struct Node {
    /// Tells own messages from others'.
    pub(super) id: u64,
    pub(super) config: RemoteConfig,
    pub(super) epochs: Arc<Epochs>,
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn RemoteStore>,
    pub(super) plane: Arc<dyn Backplane>,
    pub(super) guard: Arc<dyn Guard>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) mirror: Mirror,
    pub(super) pending: Pending,
    pub(super) lease: Lease,
    pub(super) counters: Counters,
    caches: RwLock<HashMap<Box<str>, Weak<dyn Listener>>>,
    /// Something was invalidated.
    pub(super) work: Notify,
    /// The store may have lost something.
    pub(super) doubt: Notify,
    /// The number of the last message applied, for those who wait for one.
    pub(super) heard: watch::Sender<u64>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) writes: Writes,
}

/// How far this process's invalidations have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Those that are numbered, of all that were ever made.
    pub(super) numbered: u64,
    /// Whether the last attempt failed.
    pub(super) failing: bool,
    /// Whether there will be no other.
    pub(super) closed: bool,
}

/// What a node is made of.
pub(super) struct Parts {
    pub(super) config: RemoteConfig,
    pub(super) epochs: Arc<Epochs>,
    pub(super) store: Arc<dyn RemoteStore>,
    pub(super) plane: Arc<dyn Backplane>,
    pub(super) guard: Arc<dyn Guard>,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl Node {
    pub(super) fn new(parts: Parts) -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let config = parts.config;
        Self {
            id: RandomState::new().build_hasher().finish(),
            epochs: parts.epochs,
            clock: Clock::start(config.clock),
            store: parts.store,
            plane: parts.plane,
            guard: parts.guard,
            observer: parts.observer,
            mirror: Mirror::new(),
            pending: Pending::new(config.pending_max),
            lease: Lease::new(config.lease),
            counters: Counters::default(),
            caches: RwLock::new(HashMap::new()),
            work: Notify::new(),
            doubt: Notify::new(),
            heard: watch::Sender::new(0),
            progress: watch::Sender::new(Progress::default()),
            writes: Writes::new(config.writes_max, config.writes_bytes_max),
            config,
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn epochs(&self) -> &Arc<Epochs> {
        &self.epochs
    }

    /// Adds a cache; `false` if there is one of this name that lives.
    pub(crate) fn register(&self, name: &str, cache: Weak<dyn Listener>) -> bool {
        let mut caches = write(&self.caches);
        let taken = caches.get(name).is_some_and(|old| old.strong_count() > 0);
        if !taken {
            caches.insert(name.into(), cache);
        }
        !taken
    }

    /// To be called before the same is invalidated in the first tier.
    pub(crate) fn invalidate(&self, scopes: impl IntoIterator<Item = Scope>) {
        if !self.pending.add(scopes) {
            self.counters.overflows.add_one();
        }
        self.work.notify_one();
    }

    /// Whether the first tier may be served at this moment; if the lease has
    /// passed, with nothing in it that is older.
    #[inline]
    pub(crate) fn confirm_lease(&self, now_ms: u64) {
        if !self.lease.holds(now_ms) {
            self.lease.renew(now_ms, || self.forget());
        }
    }

    /// Empties the first tiers, because something may have been missed.
    pub(super) fn forget(&self) {
        self.counters.forgotten.add_one();
        self.each_cache(|cache| cache.forget_all());
        self.report(RemoteEvent::Forgot);
    }

    /// What other processes told, in the first tiers of this one.
    pub(super) fn obey(&self, scopes: &[Scope]) {
        for scope in scopes {
            let text = std::str::from_utf8(&scope.name);
            match (scope.kind, text) {
                (Kind::Tag, Ok(name)) => self.epochs.invalidate(&[self.epochs.tag(name)]),
                (Kind::Namespace, Ok(name)) => {
                    self.epochs.invalidate(&[self.epochs.namespace(name)]);
                }
                (Kind::Cache, Ok(name)) => self.cache(name, |cache| cache.forget_all()),
                (Kind::Key, _) => match split_key(&scope.name) {
                    Some((name, key)) => self.cache(name, |cache| cache.forget_key(key)),
                    None => self.each_cache(|cache| cache.forget_all()),
                },
                (_, Err(_)) => self.each_cache(|cache| cache.forget_all()),
            }
        }
    }

    fn cache(&self, name: &str, tell: impl FnOnce(&dyn Listener)) {
        let cache = read(&self.caches).get(name).and_then(Weak::upgrade);
        if let Some(cache) = cache {
            tell(&*cache);
        }
    }

    fn each_cache(&self, tell: impl Fn(&dyn Listener)) {
        let caches: Vec<_> = read(&self.caches)
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        caches.iter().for_each(|cache| tell(&**cache));
    }

    /// Calls the service where no caller waits, for a second at the most.
    pub(super) async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        let limit = self.config.deadline.max(Duration::from_secs(1));
        let result = timeout(limit, call).await;
        result.unwrap_or(Err(RemoteError::DeadlineExceeded { limit }))
    }

    pub(super) fn report(&self, event: RemoteEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer.on_remote(event);
        }
    }
}

/// The key of a record: the cache's name, which has no `:`, and the key's bytes.
pub(crate) fn join_key(cache: &str, key: &[u8]) -> Bytes {
    let mut joined = Vec::with_capacity(cache.len() + 1 + key.len());
    joined.extend_from_slice(cache.as_bytes());
    joined.push(b':');
    joined.extend_from_slice(key);
    joined.into()
}

fn split_key(joined: &[u8]) -> Option<(&str, &[u8])> {
    let at = joined.iter().position(|byte| *byte == b':')?;
    Some((std::str::from_utf8(&joined[..at]).ok()?, &joined[at + 1..]))
}

pub(crate) fn cache_mark(name: &str) -> Mark {
    Mark::of(Kind::Cache, name.as_bytes())
}
