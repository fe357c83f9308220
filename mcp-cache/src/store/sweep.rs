//! A walk over all entries in small steps, which removes the dead ones.

use super::{Store, Swept};
use crate::{
    sync::{PoisonError, TryLockError, lock},
    table::Trash,
};
use std::hash::Hash;

/// Slots that are looked at under one hold of a shard's lock.
const STRIDE: usize = 64;

/// Where the walk is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    shard: usize,
    /// This shard's slots from here on were looked at; `None` if none was. It goes
    /// downwards, since entries only ever move to lower slots.
    from: Option<usize>,
    /// The epoch when this round began.
    began: u64,
}

impl<K: Hash + Eq, V: Clone> Store<K, V> {
    /// Looks at about `budget` slots of the table, removes the dead entries
    /// among them, and goes on from there the next time. A shard's lock is held
    /// for 64 slots at a time. If another thread is sweeping, this does
    /// nothing.
    ///
    /// A whole round frees all that was invalidated before it began, and lets
    /// go of the patterns that were.
    pub fn sweep_step(&self, budget: usize, now_ms: u64) -> Swept {
        let mut sweep = match self.sweep.try_lock() {
            Ok(sweep) => sweep,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return Swept::default(),
        };
        let mut swept = Swept::default();
        while swept.examined < budget && !swept.wrapped {
            if (sweep.shard, sweep.from) == (0, None) {
                sweep.began = self.ledger.epochs.now();
            }
            if self.sweep_stride(&mut sweep, now_ms, &mut swept) {
                (sweep.shard, sweep.from) = (sweep.shard + 1, None);
            }
            if sweep.shard == self.shards.len() {
                sweep.shard = 0;
                swept.wrapped = true;
                self.ledger.all_checked_since(sweep.began);
            }
        }
        swept
    }

    /// Whether the shard's end was reached.
    fn sweep_stride(&self, sweep: &mut Sweep, now_ms: u64, swept: &mut Swept) -> bool {
        let mut trash = Trash::new();
        let now = self.now(now_ms);
        let mut shard = lock(&self.shards[sweep.shard].0);
        let end = sweep.from.unwrap_or(usize::MAX).min(shard.slots());
        let begin = end.saturating_sub(STRIDE);
        for at in (begin..end).rev() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            swept.removed += usize::from(shard.discard_if_dead(at, &now, &mut trash));
        }
        shard.compact(2 * STRIDE);
        if begin == 0 {
            self.lent.settle(&mut shard);
        }
        drop(shard);
        swept.examined += (end - begin).max(1);
        sweep.from = Some(begin);
        begin == 0
    }
}
