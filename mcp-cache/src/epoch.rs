//! Invalidation by epoch: one counter, a stamp per tag, and a ticket for every
//! load.
//!
//! # The protocol
//!
//! The epoch only rises. Whoever loads a value takes a ticket, which is the
//! epoch, *before* reading the source; the entry keeps it as `born`.
//! Invalidating a tag raises the epoch and then the tag's stamp to the new
//! epoch. An entry is live while no stamp of its tags is above `born`. So a
//! load that was in flight when its tag was invalidated is dead on arrival, and
//! nothing has to be found, walked or removed: invalidating a tag costs the
//! same whether it has one entry or a million.
//!
//! # The shortcut
//!
//! An entry remembers the epoch at which it was found live (`checked`). If the
//! epoch is still the same, nothing was invalidated since, and its tags need no
//! look. This is right only because [`Epochs::invalidate`] raises the epoch
//! *twice*, before and after the stamp: a reader between the first rise and the
//! stamp finds the entry live and remembers that epoch; without the second rise
//! this would be believed for ever. `loom_models` holds the wrong variants,
//! and they fail.
//!
//! # Memory orders
//!
//! Both rises are release operations on one counter, and a chain of
//! read-modify-writes carries them all. A reader that acquires an epoch at or
//! above an invalidation's second rise sees its stamps, so those can be read
//! relaxed. A reader that began after `invalidate` returned (in the sense of
//! happens-before) reads at least that epoch.

mod glob;
mod ledger;
mod patterns;
mod stamps;
mod tags;
mod ticket;

pub(crate) use glob::Glob;
pub(crate) use ledger::{BEFORE_ALL, Ledger};
pub(crate) use stamps::Stamps;
pub use tags::Tag;
pub(crate) use tags::TagSet;
pub use ticket::Ticket;

use crate::sync::{AtomicU64, Ordering, Padded};
use std::hash::BuildHasher;

/// Slots per row of stamps if nobody says otherwise: 2^18, 4 MiB in all.
const TAG_SLOT_BITS: u32 = 18;

/// The epoch and the stamps of all tags: what caches that are invalidated
/// together share.
///
/// A process needs one. Caches of different types hold it by `Arc`, and
/// [`invalidate`](Self::invalidate) reaches the entries of all of them.
#[derive(Debug)]
pub struct Epochs {
    epoch: Padded<AtomicU64>,
    tags: Stamps,
    hasher: hashbrown::DefaultHashBuilder,
}

impl Default for Epochs {
    fn default() -> Self {
        Self::new(TAG_SLOT_BITS)
    }
}

impl Epochs {
    /// Stamps in two rows of `2^slot_bits` slots of eight bytes each
    /// (`slot_bits` is brought into 4 to 28; the default is 18, 4 MiB).
    ///
    /// A collision can only cause a false miss: with `m` distinct tags
    /// invalidated during an entry's life, one for each of its tags with
    /// probability about `(m / 2^slot_bits)²`.
    #[must_use]
    pub fn new(slot_bits: u32) -> Self {
        Self {
            epoch: Padded(AtomicU64::new(2)),
            tags: Stamps::new(slot_bits.clamp(4, 28)),
            hasher: hashbrown::DefaultHashBuilder::default(),
        }
    }

    /// The fingerprint of a tag's name.
    #[must_use]
    pub fn tag(&self, name: &str) -> Tag {
        Tag(self.fingerprint(&('t', name)))
    }

    /// The fingerprint of a namespace: a tag that no tag's name can meet
    /// except by collision.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Tag {
        Tag(self.fingerprint(&('n', name)))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fingerprint is half a hash"
    )]
    fn fingerprint(&self, name: &(char, &str)) -> u32 {
        (self.hasher.hash_one(name) >> 16) as u32
    }

    /// The epoch now.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.epoch.0.load(Ordering::Acquire)
    }

    /// Invalidates every entry that carries one of the tags, and every load in
    /// flight that will: a read that begins after this returned sees none of
    /// them. Costs the same whatever the tags hold.
    pub fn invalidate(&self, tags: &[Tag]) {
        if !tags.is_empty() {
            self.publish(|epoch| tags.iter().for_each(|tag| self.tags.raise(tag.0, epoch)));
        }
    }

    /// Runs `stamp` with a new epoch, between the two rises that make the
    /// shortcut sound. Invalidations of every kind go through here.
    pub(crate) fn publish(&self, stamp: impl FnOnce(u64)) {
        let epoch = self.epoch.0.fetch_add(1, Ordering::AcqRel) + 1;
        stamp(epoch);
        self.epoch.0.fetch_add(1, Ordering::Release);
    }

    /// The wrong variant: what the shortcut needs is missing.
    #[cfg(all(test, mcp_loom))]
    pub(crate) fn invalidate_with_one_rise(&self, tag: Tag) {
        let epoch = self.epoch.0.fetch_add(1, Ordering::AcqRel) + 1;
        self.tags.raise(tag.0, epoch);
    }

    /// Whether one of the tags was invalidated after `born`. The caller has
    /// read [`now`](Self::now) before.
    #[inline]
    pub(crate) fn any_after(&self, tags: &[Tag], born: u64) -> bool {
        tags.iter().any(|tag| self.tags.is_after(tag.0, born))
    }
}
