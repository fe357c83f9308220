//! What goes into a store and what comes out.

use crate::{Tag, Ticket};

/// A span of milliseconds that does not end.
pub const FOREVER_MS: u32 = u32::MAX;

/// What an insert says beside key and value.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// Taken before the value's source was read.
    pub ticket: Ticket,
    /// Where the value comes from.
    pub origin: Origin,
    /// What the entry is invalidated by; they may be decided after the load. A
    /// namespace is one of them. Up to four cost no allocation.
    pub tags: &'a [Tag],
    /// Milliseconds from now for which it is fresh; [`FOREVER_MS`] never ends.
    pub fresh_for_ms: u32,
    /// Milliseconds after that for which it is stale, but kept.
    pub stale_for_ms: u32,
    /// Bytes that key and value hold outside of themselves (on the heap). The
    /// store adds what the entry takes inside the table.
    pub heap_bytes: u64,
    /// Keeps the value for [`Store::last_known`](crate::Store::last_known) when
    /// it is invalidated, until its spans end or room is needed.
    pub keep_invalidated: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Read from the source after the ticket was taken.
    Load,
    /// Written to the source after the ticket was taken, and written through.
    ///
    /// It dooms every load of this key that is in flight. If the key was
    /// written or invalidated by somebody else since the ticket was taken,
    /// nobody can tell which write came last: then the entry is removed and
    /// [`Inserted::Conflict`] is answered.
    Write,
}

/// What became of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is in the store.
    Stored,
    /// The key, a tag, the namespace or everything was invalidated since the
    /// ticket was taken: the value must not be served to anyone who asked after that.
    BornDead,
    /// A value whose load began later is there already, and stays.
    Superseded,
    /// Another write of this key overlapped; the store holds neither.
    Conflict,
    /// Larger than half of the store's bytes.
    TooLarge,
}

/// What a store knows about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Lookup<V> {
    /// Within its fresh span.
    Fresh(Hit<V>),
    /// Past it and within its stale span; not invalidated.
    Stale(Hit<V>),
    /// Nothing that may be served.
    Miss,
}

impl<V> Lookup<V> {
    /// The value if it is fresh.
    pub fn fresh(self) -> Option<V> {
        match self {
            Self::Fresh(hit) => Some(hit.value),
            Self::Stale(_) | Self::Miss => None,
        }
    }
}

/// A live entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<V> {
    /// A clone of the value.
    pub value: V,
    /// Milliseconds since it was stored.
    pub age_ms: u64,
    /// Its fresh span; it is fresh while `age_ms` is below.
    pub fresh_for_ms: u32,
    /// Reads of this entry before this one; above two an estimate, since one read in
    /// 16 is written down.
    pub hits: u32,
}

/// What a step of the sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries looked at.
    pub examined: usize,
    /// Dead entries removed.
    pub removed: usize,
    /// Whether it came to the end of the store; the next step begins again.
    pub wrapped: bool,
}
