//! How far a rebuild is, for whoever asks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;

use crate::{memory::MemoryError, monitoring::DependencyKind, ports::Readiness};

/// Counters of the one rebuild that may be under way, and of how many there were.
#[derive(Debug, Default)]
pub(super) struct Progress {
    behind: AtomicBool,
    lagging: AtomicBool,
    read: AtomicU64,
    of: AtomicU64,
    rebuilds: AtomicU64,
}

impl Progress {
    pub(super) fn begin(&self, of: u64) {
        self.read.store(0, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
        self.behind.store(true, Ordering::Relaxed);
    }

    pub(super) fn read(&self, count: u64) {
        self.read.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.behind.store(false, Ordering::Relaxed);
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether so much has been written since the index on disk that searches are not answered.
    pub(super) fn set_lagging(&self, lagging: bool) {
        self.lagging.store(lagging, Ordering::Relaxed);
    }

    pub(super) fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::Relaxed)
    }

    /// What a search is told that cannot be answered yet: how far the rebuild is, or else the log
    /// has been read.
    pub(super) fn not_ready(&self, upto: i64, head: i64) -> MemoryError {
        let (read, of) = match self.behind.load(Ordering::Relaxed) {
            true => (
                self.read.load(Ordering::Relaxed),
                self.of.load(Ordering::Relaxed),
            ),
            false => (upto.unsigned_abs(), head.unsigned_abs()),
        };
        MemoryError::IndexNotReady { read, of }
    }
}

/// Tells whether searches are answered.
#[derive(Debug, Clone)]
pub struct IndexReadiness {
    progress: Arc<Progress>,
}

impl IndexReadiness {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress }
    }

    /// How often the index has been made again since the store was opened.
    #[must_use]
    pub fn rebuilds(&self) -> u64 {
        self.progress.rebuilds()
    }
}

#[async_trait]
impl Readiness for IndexReadiness {
    fn name(&self) -> &'static str {
        "search_index"
    }

    fn kind(&self) -> DependencyKind {
        DependencyKind::Index
    }

    async fn check(&self) -> Result<(), String> {
        if self.progress.behind.load(Ordering::Relaxed) {
            return Err(self.progress.not_ready(0, 0).to_string());
        }
        match self.progress.lagging.load(Ordering::Relaxed) {
            true => Err("what was written lately is being indexed".to_owned()),
            false => Ok(()),
        }
    }
}
