//! What is kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::standing::Standing;
use crate::memory::{Found, Memory};

/// About what a memory takes besides its text, in bytes.
const MEMORY_BYTES: usize = 512;

/// An answer in the cache.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Memory(Kept, Offered),
    Search(Arc<Standing>),
    /// An answer that cannot be kept: it is for the one who asked.
    Once(Arc<Found>),
}

impl Value {
    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Memory(kept, _) => kept.heap_bytes() + kept.memory.form_bytes_max(),
            Self::Search(standing) => standing.bytes(),
            Self::Once(_) => 0,
        };
        bytes as u64
    }
}

/// Whether a memory was offered to other processes.
#[derive(Debug, Clone)]
pub(super) struct Offered(Arc<AtomicBool>);

impl Offered {
    pub(super) fn new(offered: bool) -> Self {
        Self(Arc::new(AtomicBool::new(offered)))
    }

    /// Whether it is to be offered now, which only the first one is told.
    pub(super) fn is_due(&self) -> bool {
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}

/// A memory and how much stored text it brings into an answer, as its store counts it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) memory: Arc<Memory>,
    pub(super) bytes: usize,
}

impl Kept {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        let json = |bytes: Result<Vec<u8>, _>| bytes.map_or(0, |bytes| bytes.len());
        let bytes = memory.content.len()
            + json(serde_json::to_vec(&memory.tags))
            + json(serde_json::to_vec(&memory.metadata));
        Self { memory, bytes }
    }

    /// Whether it is gone one day by itself.
    pub(super) fn expires(&self) -> bool {
        self.memory.expires_at.is_some()
    }

    /// Whether it still is, `now_ms` after 1970.
    pub(super) fn is_alive(&self, now_ms: i64) -> bool {
        let expires_at = self.memory.expires_at;
        expires_at.is_none_or(|at| at.as_millisecond() > now_ms)
    }

    /// Bytes on the heap, without its written form.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes + MEMORY_BYTES
    }
}
