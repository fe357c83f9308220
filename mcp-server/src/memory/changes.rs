//! What is changed in a store, in the one order in which it happens.

use std::{collections::HashSet, sync::Arc};

use super::{
    Memory, MemoryId, Owner,
    search::{Watermark, Words},
};

/// Names a state of a store without saying what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub(crate) [u8; 48]);

/// What was changed after some moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// The last change that there is.
    pub upto: Watermark,
    /// The changes in order; `None` when they are too many or are not known any more, so that
    /// anything may have changed.
    pub list: Option<Vec<MemoryChange>>,
}

/// One change of one memory.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryChange {
    /// Its place among all changes; each is one more than the one before.
    pub sequence: i64,
    /// What the store wrote beside it: another history of the same length has another one.
    pub stamp: i64,
    /// The memory's row in its store.
    pub row: i64,
    /// The memory.
    pub id: MemoryId,
    /// The memory as it is now. `None` when it is gone, and when a later change in the same list
    /// has it.
    pub now: Option<ChangedMemory>,
}

/// A memory that was added or changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedMemory {
    /// Whose it is.
    pub owner: Owner,
    /// The memory itself.
    pub memory: Arc<Memory>,
    /// The words of its text.
    pub words: Words,
}

/// Which memory a change concerned, for whoever judges what others have kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The change.
    pub at: Watermark,
    /// The memory.
    pub id: MemoryId,
}

/// A change as a store reads it: its place, the row, the memory's id, and what the row is now.
pub(super) type RawChange = (Watermark, i64, MemoryId, Option<(Owner, Memory)>);

impl MemoryChange {
    /// Says what a row is now with the last of its changes only.
    pub(super) fn told_once(list: Vec<RawChange>) -> Vec<Self> {
        let mut told = HashSet::new();
        let mut changes: Vec<_> = list
            .into_iter()
            .rev()
            .map(|(at, row, id, now)| Self {
                sequence: at.sequence,
                stamp: at.stamp,
                row,
                id,
                now: now.filter(|_| told.insert(row)).map(|(owner, memory)| {
                    let words = Words::of(&memory.content);
                    let memory = Arc::new(memory);
                    ChangedMemory {
                        owner,
                        memory,
                        words,
                    }
                }),
            })
            .collect();
        changes.reverse();
        changes
    }
}
