//! A source of truth with numbered versions.

use std::sync::atomic::{AtomicU64, Ordering};

/// A version per key, which only rises, and how often it was read.
#[derive(Debug)]
pub struct Source {
    versions: Box<[AtomicU64]>,
    reads: AtomicU64,
}

impl Source {
    pub(super) fn new(keys: u32) -> Self {
        Self {
            versions: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            reads: AtomicU64::new(0),
        }
    }

    /// Writes the next version of a key; which one that is.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn write(&self, key: u32) -> u64 {
        self.versions[key as usize].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Reads a key as a load does: the version is read at once, and the answer
    /// takes a while to arrive.
    ///
    /// # Panics
    /// If there is no such key.
    pub async fn read(&self, key: u32) -> u64 {
        let version = self.versions[key as usize].load(Ordering::SeqCst);
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        for _ in 0..read % 4 {
            tokio::task::yield_now().await;
        }
        version
    }

    /// How often it was read.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}
