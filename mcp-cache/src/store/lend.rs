//! Room for a value that is larger than a shard's share of the bytes.
//!
//! The shares, and what is on its way between them, add up to the whole at every
//! moment: a shard makes room first and gives away its bytes then. No two locks are
//! held at once.

use super::Store;
use crate::{
    sync::{AtomicU64, Ordering, lock},
    table::{Now, Shard, Trash},
};
use std::{hash::Hash, num::NonZeroU64};

/// A shard keeps this part of its share, one in so many, whatever others need.
const KEPT: u64 = 4;

/// What a shard has from the beginning, and what belongs to none at the moment.
#[derive(Debug)]
pub(super) struct Lent {
    share: u64,
    /// The largest entry for which others lend.
    entry_bytes_max: u64,
    spare: AtomicU64,
}

/// What is lent, in this order: the value of a shard that has borrowed itself would go
/// for the first byte.
#[derive(Debug, Clone, Copy)]
enum From {
    /// Bytes that nothing takes.
    Unused,
    /// Of their shares, all the same.
    Share,
    /// What was borrowed, of as few as will do.
    Borrowed,
}

impl Lent {
    pub(super) fn new(bytes_max: Option<NonZeroU64>, shards: usize) -> Self {
        let bytes_max = bytes_max.map_or(u64::MAX, NonZeroU64::get);
        Self {
            share: bytes_max / shards as u64,
            entry_bytes_max: bytes_max / 2,
            spare: AtomicU64::new(0),
        }
    }

    /// Takes up to so many bytes out of what is spare.
    fn take(&self, bytes: u64) -> u64 {
        let less = |spare: u64| Some(spare - spare.min(bytes));
        let spare = self
            .spare
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        spare.map_or(0, |spare| spare.min(bytes))
    }

    fn give(&self, bytes: u64) {
        self.spare.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Gives back what a shard has above its share and does not use, or fills its
    /// share up again.
    pub(super) fn settle<K, V>(&self, shard: &mut Shard<K, V>) {
        let now = shard.limit.bytes_max();
        let due = if now > self.share {
            // A remainder of the division is nobody's debt.
            self.share.max(shard.bytes())
        } else {
            now + self.take(self.share - now)
        };
        if due < now {
            self.give(now - due);
        }
        if due != now {
            shard.limit = shard.limit.with_bytes(due);
        }
    }
}

impl<K: Hash + Eq, V: Clone> Store<K, V> {
    /// Borrows for shard `home` what it lacks for an entry of so many bytes. There may
    /// be too little if others do the same at this moment.
    #[inline]
    pub(super) fn make_share(&self, home: usize, bytes: u64, now: &Now<'_, K>) {
        if bytes > self.lent.share && bytes <= self.lent.entry_bytes_max {
            self.borrow(home, bytes, now);
        }
    }

    #[cold]
    fn borrow(&self, home: usize, bytes: u64, now: &Now<'_, K>) {
        let has = lock(&self.shards[home].0).limit.bytes_max();
        let mut lacks = bytes.saturating_sub(has);
        lacks -= self.lent.take(lacks);
        let mut got = bytes.saturating_sub(has) - lacks;
        for from in [From::Unused, From::Share, From::Borrowed] {
            let lenders = (0..self.shards.len()).filter(|shard| *shard != home);
            for (shard, left) in lenders.zip((1..self.shards.len() as u64).rev()) {
                if lacks > 0 {
                    let asked = match from {
                        From::Share => lacks.div_ceil(left),
                        From::Unused | From::Borrowed => lacks,
                    };
                    let lent = self.lend(shard, asked, from, now);
                    (lacks, got) = (lacks - lent, got + lent);
                }
            }
        }
        let mut shard = lock(&self.shards[home].0);
        shard.limit = shard.limit.with_bytes(shard.limit.bytes_max() + got);
    }

    /// Takes up to so many bytes from a shard, which makes room for that.
    fn lend(&self, shard: usize, bytes: u64, from: From, now: &Now<'_, K>) -> u64 {
        let mut trash = Trash::new();
        let mut shard = lock(&self.shards[shard].0);
        let (has, kept) = (shard.limit.bytes_max(), self.lent.share / KEPT);
        let stays = match from {
            From::Unused => kept.max(shard.bytes()),
            From::Share if has > self.lent.share => has,
            From::Share | From::Borrowed => kept,
        };
        let lent = bytes.min(has.saturating_sub(stays));
        shard.limit = shard.limit.with_bytes(has - lent);
        shard.obey_limit(now, &mut trash);
        drop(shard);
        lent
    }
}
