//! What is kept.

use std::sync::Arc;

use super::standing::Standing;
use crate::memory::{Found, Memory};

/// About what a memory takes besides its text, in bytes.
const MEMORY_BYTES: usize = 512;

/// An answer in the cache.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Memory(Kept),
    Search(Arc<Standing>),
    /// An answer that cannot be kept: it is for the one who asked.
    Once(Arc<Found>),
}

impl Value {
    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Memory(kept) => kept.heap_bytes() + kept.memory.form_bytes_max(),
            Self::Search(standing) => standing.bytes(),
            Self::Once(_) => 0,
        };
        bytes as u64
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
