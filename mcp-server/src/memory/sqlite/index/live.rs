//! The index as searches see it: always as new as the snapshot of the database that they read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use rusqlite::{Connection, Transaction};

use super::{changes, progress::Progress};
use crate::memory::{
    MemoryError,
    search::{self, Basis, Change, DiskView, IndexError, Overlay, Query, SearchIndex, Watermark},
};

/// The layers, and how far they have read the log together.
#[derive(Debug, Default)]
struct Layers {
    disk: Option<DiskView>,
    overlay: Overlay,
    /// The last change that is in either layer.
    upto: i64,
}

/// What searches and the indexer share.
#[derive(Debug)]
pub(in super::super) struct LiveIndex {
    layers: RwLock<Layers>,
    /// The last change that is on disk.
    committed: AtomicI64,
    lag_max: i64,
    unusable: AtomicBool,
    progress: Arc<Progress>,
}

impl LiveIndex {
    pub(super) fn new(lag_max: u32, progress: Arc<Progress>) -> Self {
        Self {
            layers: RwLock::default(),
            committed: AtomicI64::new(0),
            lag_max: i64::from(lag_max),
            unusable: AtomicBool::new(false),
            progress,
        }
    }

    /// Searches, then reads what was found in the same snapshot of the database.
    ///
    /// In a transaction that writes, its own changes are found, too; otherwise a transaction is
    /// begun. `stop` says that nobody waits for the answer any more.
    pub(in super::super) fn search<T>(
        &self,
        db: &Connection,
        query: &Query,
        stop: &dyn Fn() -> bool,
        read: impl FnOnce(&Connection, Basis) -> Result<T, MemoryError>,
    ) -> Result<T, MemoryError> {
        if db.is_autocommit() {
            let (layers, snapshot) = self.current(db)?;
            let basis = self.guarded(&layers, None, layers.upto, query, stop)?;
            drop(layers);
            return read(&snapshot, basis);
        }
        let layers = self.read();
        let mut own = Overlay::default();
        let upto = self.catch_up(db, layers.upto, &mut own)?;
        let basis = self.guarded(&layers, Some(&own), upto, query, stop)?;
        drop(layers);
        read(db, basis)
    }

    /// A snapshot of the database, and layers that have read exactly as far.
    fn current<'a, 'c>(
        &'a self,
        db: &'c Connection,
    ) -> Result<(RwLockReadGuard<'a, Layers>, Transaction<'c>), MemoryError> {
        // The snapshot begins while the layers are held, so it is never older than they are.
        let layers = self.read();
        let snapshot = db.unchecked_transaction()?;
        if changes::head(&snapshot)? == layers.upto {
            return Ok((layers, snapshot));
        }
        drop(layers);
        drop(snapshot);
        let mut layers = self.write();
        let snapshot = db.unchecked_transaction()?;
        let upto = layers.upto;
        layers.upto = self.catch_up(&snapshot, upto, &mut layers.overlay)?;
        Ok((RwLockWriteGuard::downgrade(layers), snapshot))
    }

    /// Reads the log from `upto` to its end into `overlay`, unless that is too much.
    fn catch_up(
        &self,
        db: &Connection,
        upto: i64,
        overlay: &mut Overlay,
    ) -> Result<i64, MemoryError> {
        let head = changes::head(db)?;
        let held = i64::try_from(overlay.len()).unwrap_or(i64::MAX);
        let lags = head != upto
            && (head < upto
                || held + (head - upto) > self.lag_max
                || changes::first(db)? > upto + 1);
        self.progress.set_lagging(lags);
        if lags {
            return Err(self.progress.not_ready(upto, head));
        }
        if head == upto {
            return Ok(upto);
        }
        changes::after(db, upto, i64::MAX, |change: Change| {
            overlay.apply(change);
            Ok(())
        })
    }

    /// Whatever a damaged index does, it must not take the store with it.
    fn guarded(
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
    pub(in super::super) fn unusable(&self, reason: &str) -> MemoryError {
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
    /// from `db`, the only thing that takes long.
    pub(super) fn show(&self, disk: DiskView, db: &Connection) {
        let committed = disk.watermark().sequence;
        let mut shown = Layers {
            disk: Some(disk),
            overlay: Overlay::default(),
            upto: committed,
        };
        match self.written_since(db, &mut shown) {
            Ok(upto) => shown.upto = upto,
            Err(error) => {
                tracing::debug!(%error, "the next search reads what was written meanwhile");
                shown.overlay = Overlay::default();
            }
        }
        let before = std::mem::replace(&mut *self.write(), shown);
        self.committed.store(committed, Ordering::Release);
        // Freed outside the lock.
        drop(before);
    }

    fn written_since(&self, db: &Connection, layers: &mut Layers) -> Result<i64, MemoryError> {
        let snapshot = db.unchecked_transaction()?;
        self.catch_up(&snapshot, layers.upto, &mut layers.overlay)
    }

    /// What is on disk, as shown.
    pub(super) fn disk(&self) -> Option<DiskView> {
        self.read().disk.clone()
    }

    /// Takes up what has been written, so that the next search need not.
    pub(super) fn warm(&self, db: &Connection) -> Result<(), MemoryError> {
        self.current(db).map(|_| ())
    }

    /// The changes up to this one need not be kept for the index, nor for one of another process
    /// that is a little behind.
    pub(in super::super) fn forgettable(&self) -> i64 {
        self.committed.load(Ordering::Acquire) - self.lag_max
    }

    fn read(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an index that has read so far has read this database's history.
pub(super) fn belongs(db: &Connection, mark: Watermark) -> Result<bool, IndexError> {
    let known = changes::watermark(db, mark.sequence).map_err(unreadable)?;
    Ok(known == Some(mark))
}

/// The index cannot go on without its store.
pub(super) fn unreadable(error: rusqlite::Error) -> IndexError {
    IndexError::Io(std::io::Error::other(error))
}
