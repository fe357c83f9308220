//! What was invalidated in one store, and when.

use super::{Epochs, Stamps, Tag, Ticket, glob::Glob, patterns::Patterns};
use crate::sync::{AtomicU64, Ordering, Padded};
use std::sync::Arc;

/// Epochs below this are older than every ticket: an entry moved there is dead for good.
pub(crate) const BEFORE_ALL: u64 = 0;

/// Slots per row for keys: they only matter while a load is in flight. The share of
/// loads that die falsely rises with the square of the keys that are written
/// meanwhile: with 2^16 slots (1 MiB) it is 2 % at 10,000 and 40 % at 65,000.
const KEY_SLOT_BITS: u32 = if cfg!(mcp_loom) { 4 } else { 16 };

/// Decides whether a value that was loaded at some epoch may be served.
///
/// Tags are shared between stores through [`Epochs`]; patterns, clearing and
/// single keys belong to one store and are here.
#[derive(Debug)]
pub(crate) struct Ledger<K> {
    pub(crate) epochs: Arc<Epochs>,
    /// Everything born before is dead.
    floor: AtomicU64,
    patterns: Patterns<K>,
    /// Counts writes and invalidations of single keys.
    writes: AtomicU64,
    /// The last write or invalidation of a key, for the loads that began before.
    keys: Stamps,
    /// Counts tickets; on a line of its own, since every load writes it.
    tickets: Padded<AtomicU64>,
}

impl<K> Ledger<K> {
    pub(crate) fn new(epochs: Arc<Epochs>) -> Self {
        Self {
            epochs,
            floor: AtomicU64::new(BEFORE_ALL + 1),
            patterns: Patterns::new(),
            writes: AtomicU64::new(1),
            keys: Stamps::new(KEY_SLOT_BITS),
            tickets: Padded(AtomicU64::new(1)),
        }
    }

    #[inline]
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket {
            epoch: self.epochs.now(),
            writes: self.writes.load(Ordering::Acquire),
            // It only has to differ and to rise.
            order: self.tickets.0.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Whether nothing that concerns the entry was invalidated since it was
    /// `born`; it was found live at `checked` before. The caller has read the
    /// epoch before, and may remember that one as the new `checked`.
    pub(crate) fn is_live(&self, key: &K, tags: &[Tag], born: u64, checked: u64) -> bool {
        self.floor.load(Ordering::Relaxed) <= born
            && !self.epochs.any_after(tags, born)
            && !self.patterns.any_after(key, checked)
    }

    /// Whether nothing that concerns a load was invalidated since its ticket.
    /// `epoch` was read before: if it is the ticket's, nothing was published
    /// since, as with an entry that was checked at this epoch.
    #[inline]
    pub(crate) fn admits(&self, key: &K, tags: &[Tag], ticket: Ticket, epoch: u64) -> bool {
        ticket.epoch == epoch || self.is_live(key, tags, ticket.epoch, ticket.epoch)
    }

    /// Whether the key was written or invalidated since the ticket was taken.
    /// Exact under the lock of the key's shard.
    pub(crate) fn is_overtaken(&self, fingerprint: u32, ticket: Ticket) -> bool {
        self.writes.load(Ordering::Acquire) != ticket.writes
            && self.keys.is_after(fingerprint, ticket.writes)
    }

    /// Dooms the loads of a key that are in flight. To be called under the lock
    /// of the key's shard, which is what an insert holds when it asks.
    pub(crate) fn overtake(&self, fingerprint: u32) {
        let write = self.writes.fetch_add(1, Ordering::AcqRel) + 1;
        self.keys.raise(fingerprint, write);
    }

    pub(crate) fn invalidate_all(&self) {
        self.epochs.publish(|epoch| {
            self.floor.fetch_max(epoch, Ordering::Release);
        });
    }

    pub(crate) fn invalidate_pattern(&self, glob: Glob, text: fn(&K) -> &str) {
        self.patterns.invalidate(&self.epochs, glob, text);
    }

    /// Every entry was looked at since `epoch`.
    pub(crate) fn all_checked_since(&self, epoch: u64) {
        self.patterns.retire(epoch);
    }

    pub(crate) fn patterns_pending(&self) -> u64 {
        self.patterns.len()
    }
}
