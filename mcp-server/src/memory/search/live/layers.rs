//! The layers of an index, and how far they have read the log together.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use super::{super as search, log::ChangeLog, progress::Progress};
use crate::memory::{
    MemoryError,
    search::{Basis, Change, DiskView, Overlay, Query, SearchIndex},
};

/// The layers, and how far they have read the log together.
#[derive(Debug, Default)]
pub(in crate::memory) struct Layers {
    disk: Option<DiskView>,
    pub(in crate::memory) overlay: Overlay,
    /// The last change that is in either layer.
    pub(in crate::memory) upto: i64,
}

/// What searches and the indexer share.
#[derive(Debug)]
pub(in crate::memory) struct LiveIndex {
    layers: RwLock<Layers>,
    /// The last change that is on disk.
    committed: AtomicI64,
    lag_max: u32,
    unusable: AtomicBool,
    progress: Arc<Progress>,
}

impl LiveIndex {
    pub(super) fn new(lag_max: u32, progress: Arc<Progress>) -> Self {
        Self {
            layers: RwLock::default(),
            committed: AtomicI64::new(0),
            lag_max,
            unusable: AtomicBool::new(false),
            progress,
        }
    }

    /// How far the log was read.
    pub(in crate::memory) fn upto(&self) -> i64 {
        self.read().upto
    }

    /// The most changes that are held in memory.
    pub(in crate::memory) fn lag_max(&self) -> u32 {
        self.lag_max
    }

    /// Whether an overlay may take up what was changed after `upto` and up to `head`, in a log that
    /// begins with `first`.
    ///
    /// # Errors
    ///
    /// [`MemoryError::IndexNotReady`]: that is too much, or not all of it is known any more.
    pub(in crate::memory) fn reaches(
        &self,
        overlay: &Overlay,
        upto: i64,
        head: i64,
        first: i64,
    ) -> Result<(), MemoryError> {
        let held = i64::try_from(overlay.len()).unwrap_or(i64::MAX);
        let much = held + (head - upto) > i64::from(self.lag_max);
        let lags = head < upto || much || first > upto + 1;
        self.progress.set_lagging(lags);
        match lags {
            true => Err(self.progress.not_ready(upto, head)),
            false => Ok(()),
        }
    }

    /// Notes that there is nothing in the log that was not taken up.
    pub(in crate::memory) fn note_current(&self) {
        self.progress.set_lagging(false);
    }

    /// Takes up `changes`, which are all that follow the change `after`. `false` if what was taken
    /// up before does not reach there any more: they are to be read again.
    ///
    /// # Errors
    ///
    /// [`MemoryError::IndexNotReady`]: they are too many.
    pub(in crate::memory) fn absorb(
        &self,
        after: i64,
        changes: Vec<(i64, Change)>,
    ) -> Result<bool, MemoryError> {
        let Some((head, _)) = changes.last() else {
            return Ok(self.upto() >= after);
        };
        let mut layers = self.write();
        if layers.upto < after {
            return Ok(false);
        }
        if *head > layers.upto {
            self.reaches(&layers.overlay, layers.upto, *head, 0)?;
        }
        for (sequence, change) in changes {
            if sequence > layers.upto {
                layers.overlay.apply(change);
                layers.upto = sequence;
            }
        }
        Ok(true)
    }

    /// Ranks what is in the layers now.
    ///
    /// # Errors
    ///
    /// [`MemoryError::IndexNotReady`] if the index is damaged; it is made again.
    pub(in crate::memory) fn ranked(
        &self,
        query: &Query,
        stop: &dyn Fn() -> bool,
    ) -> Result<Basis, MemoryError> {
        let layers = self.read();
        self.guarded(&layers, None, layers.upto, query, stop)
    }

    /// Whatever a damaged index does, it must not take the store with it.
    pub(in crate::memory) fn guarded(
        &self,
        layers: &Layers,
        own: Option<&Overlay>,
        upto: i64,
        query: &Query,
        stop: &dyn Fn() -> bool,
    ) -> Result<Basis, MemoryError> {
        let newest = own.map(|own| own as &dyn SearchIndex);
        let disk = layers.disk.as_ref().map(|disk| disk as &dyn SearchIndex);
        let all: Vec<_> = newest
            .into_iter()
            .chain([&layers.overlay as &dyn SearchIndex])
            .chain(disk)
            .collect();
        let found = catch_unwind(AssertUnwindSafe(|| search::ranked(&all, query, stop)));
        match found {
            Ok(Ok((matches, statistics))) => Ok(Basis {
                upto,
                matches,
                statistics,
            }),
            Ok(Err(error)) => Err(self.unusable(&error.to_string())),
            Err(_) => Err(self.unusable("a search panicked")),
        }
    }

    /// Notes that the index must be made again.
    pub(in crate::memory) fn unusable(&self, reason: &str) -> MemoryError {
        tracing::error!(reason, "the search index is damaged: it will be made again");
        self.unusable.store(true, Ordering::Release);
        self.progress
            .not_ready(0, self.committed.load(Ordering::Acquire))
    }

    pub(super) fn is_unusable(&self) -> bool {
        self.unusable.load(Ordering::Acquire)
    }

    /// Forgets the index on disk.
    pub(super) fn reset(&self) {
        *self.write() = Layers::default();
        self.committed.store(0, Ordering::Release);
        self.unusable.store(false, Ordering::Release);
    }

    /// Shows what is on disk now, and what was written meanwhile. Searches go on while that is read
    /// from `log`, the only thing that takes long.
    pub(super) fn show(&self, disk: DiskView, log: &dyn ChangeLog) {
        let committed = disk.watermark().sequence;
        let mut shown = Layers {
            disk: Some(disk),
            overlay: Overlay::default(),
            upto: committed,
        };
        match self.written_since(log, committed) {
            Ok(changes) => {
                for (sequence, change) in changes {
                    shown.overlay.apply(change);
                    shown.upto = sequence;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the next search reads what was written meanwhile");
            }
        }
        let before = std::mem::replace(&mut *self.write(), shown);
        self.committed.store(committed, Ordering::Release);
        // Freed outside the lock.
        drop(before);
    }

    /// What is in the log after `upto`; nothing if that is too much to be held in memory.
    fn written_since(
        &self,
        log: &dyn ChangeLog,
        upto: i64,
    ) -> Result<Vec<(i64, Change)>, search::IndexError> {
        let head = log.head()?;
        if head == upto {
            self.note_current();
            return Ok(Vec::new());
        }
        let held = Overlay::default();
        if self.reaches(&held, upto, head, log.first()?).is_err() {
            return Ok(Vec::new());
        }
        let changes = log.after(upto, self.lag_max)?;
        let first = changes.first().map(|(first, _)| *first);
        Ok(match first {
            // Another process has removed some meanwhile.
            Some(first) if first != upto + 1 => Vec::new(),
            _ => changes,
        })
    }

    /// What is on disk, as shown.
    pub(super) fn disk(&self) -> Option<DiskView> {
        self.read().disk.clone()
    }

    /// Takes up what has been written, so that the next search need not.
    pub(super) fn warm(&self, log: &dyn ChangeLog) -> Result<(), search::IndexError> {
        let upto = self.upto();
        // Too many by now: the next round of the indexer has them on disk.
        let _ = self.absorb(upto, self.written_since(log, upto)?);
        Ok(())
    }

    /// The changes up to this one need not be kept for the index, nor for one of another process
    /// that is a little behind.
    pub(in crate::memory) fn forgettable(&self) -> i64 {
        self.committed.load(Ordering::Acquire) - i64::from(self.lag_max)
    }

    pub(in crate::memory) fn read(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::memory) fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }
}
