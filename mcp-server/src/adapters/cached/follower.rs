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

use super::{
    CacheConfig,
    past::{self, Past},
};
use crate::{
    memory::{
        Changes, Memory, MemoryChange, MemoryError, MemoryId, Owner, Version,
        search::{Recent, Watermark},
    },
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
    /// Whether to know the [`Past`], too.
    looks_back: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// The state of the store that was followed to; everything before it has been applied.
    version: Option<Version>,
    /// The place of the log that was followed to.
    upto: Option<Watermark>,
    recent: Option<Recent>,
    past: Option<Past>,
    /// How often it began anew. What was read in an earlier era may be of another history.
    era: u64,
    /// Whether the past was begun and not looked up yet.
    past_is_short: bool,
}

/// A moment: everything up to its place had been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Since {
    era: u64,
    pub(super) place: Watermark,
}

/// What is known at a moment.
pub(super) struct View<'a> {
    pub(super) since: Since,
    pub(super) recent: &'a Recent,
    pub(super) past: &'a Past,
}

impl View<'_> {
    /// Whether all that happened since that moment is of one history, and has been followed.
    pub(super) fn follows(&self, since: Since) -> bool {
        self.since.era == since.era && self.past.knows(since.place)
    }
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
            looks_back: config.redis.enabled,
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
        let after = self.read().upto;
        let changes = self.feed.changes(after, CHANGES_MAX).await?;
        let upto = changes.upto.sequence;
        self.apply(changes, keep);
        // Only now may others believe that they need not ask.
        self.write().version = version;
        *done = round;
        Ok(upto)
    }

    fn apply(&self, changes: Changes, keep: impl Fn(Owner, &Memory)) {
        let Changes { upto, list } = changes;
        let Some(list) = list else {
            let mut known = self.write();
            known.begin(upto, self.recent_bytes_max, self.looks_back);
            // Before anybody can see how far it is known: what is kept is forgotten by then.
            self.publish(vec![EVERY_MEMORY.into()]);
            return;
        };
        if list.is_empty() {
            return;
        }
        self.take_up(upto, list, None, keep);
    }

    /// Takes up the changes that follow on what is known, or all `from` an earlier place on, which
    /// then is as if they had been followed from there.
    fn take_up(
        &self,
        upto: Watermark,
        list: Vec<MemoryChange>,
        from: Option<Watermark>,
        keep: impl Fn(Owner, &Memory),
    ) {
        let tags = list.iter().map(|change| tag(&change.id).into()).collect();
        let now: Vec<_> = list
            .iter()
            .filter_map(|change| change.now.as_ref())
            .map(|now| (now.owner.clone(), now.memory.clone()))
            .collect();
        {
            let mut known = self.write();
            if let Some(from) = from {
                known.recent = Some(Recent::new(from.sequence, self.recent_bytes_max));
            }
            known.apply(upto, list);
            // Before anybody can see how far it is known: what is kept is forgotten by then.
            self.publish(tags);
        }
        now.into_iter()
            .for_each(|(owner, memory)| keep(owner, &memory));
    }

    /// Knows what was changed before it began to follow, if that is not known yet: for answers that
    /// others have kept at an earlier place. Where that fails, they are of less use.
    ///
    /// # Errors
    ///
    /// Those of the feed.
    pub(super) async fn look_back(&self) -> Result<(), MemoryError> {
        if !self.read().past_is_short {
            return Ok(());
        }
        // Megabytes, while others go on following.
        let history = self.feed.history(past::LEN_MAX).await?;
        if let Some(past) = &mut self.write().past {
            past.learn(&history);
        }
        let _turn = self.turn.lock().await;
        let most = CHANGES_MAX.min(history.len());
        for len in [most, most / 4, most / 16] {
            let Some(first) = history.get(history.len() - len) else {
                break;
            };
            let from = first.at;
            // It began to follow before that: nothing is missing.
            if self
                .read()
                .upto
                .is_none_or(|upto| from.sequence > upto.sequence)
            {
                break;
            }
            // `None` where that is too much text, or others have written meanwhile.
            let changes = self.feed.changes(Some(from), CHANGES_MAX).await?;
            // The store may have gone back meanwhile, and on from there in another way.
            let known = self.read().upto;
            let is_same_history = |list: &[MemoryChange]| {
                let at = |known: Watermark| {
                    list.iter().any(|change| {
                        (change.sequence, change.stamp) == (known.sequence, known.stamp)
                    })
                };
                known.is_some_and(|known| known == from || at(known))
            };
            if let Some(list) = changes.list.filter(|list| is_same_history(list)) {
                self.take_up(changes.upto, list, Some(from), |_, _| ());
                break;
            }
        }
        self.write().past_is_short = false;
        Ok(())
    }

    /// How many of the last changes are known.
    pub(super) fn past_len(&self) -> usize {
        self.read().past.as_ref().map_or(0, Past::len)
    }

    /// Asks what is known at this moment; `None` also where nothing is known of the past.
    pub(super) fn with_past<T>(&self, ask: impl FnOnce(&View<'_>) -> Option<T>) -> Option<T> {
        let known = self.read();
        let (recent, past) = (known.recent.as_ref()?, known.past.as_ref()?);
        ask(&View {
            since: Since {
                era: known.era,
                place: past.place()?,
            },
            recent,
            past,
        })
    }

    /// The moment before something is read from the store.
    pub(super) fn since(&self) -> Option<Since> {
        self.with_past(|view| Some(view.since))
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

impl Known {
    /// Begins anew at `upto`: of what was before, nothing is known.
    fn begin(&mut self, upto: Watermark, recent_bytes_max: usize, looks_back: bool) {
        self.era += 1;
        self.upto = Some(upto);
        self.recent = Some(Recent::new(upto.sequence, recent_bytes_max));
        self.past = looks_back.then(|| Past::new(upto, past::LEN_MAX));
        self.past_is_short = looks_back;
    }

    fn apply(&mut self, upto: Watermark, list: Vec<MemoryChange>) {
        for change in list {
            let at = Watermark {
                sequence: change.sequence,
                stamp: change.stamp,
            };
            if let Some(past) = &mut self.past
                && past
                    .place()
                    .is_some_and(|place| at.sequence > place.sequence)
            {
                past.push(at, &change.id);
            }
            if let Some(recent) = &mut self.recent {
                recent.apply(change);
            }
        }
        self.upto = Some(upto);
    }
}
