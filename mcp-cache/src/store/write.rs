//! What changes the entry of a key.

use super::{Hashed, Inserted, Origin, Put, Store};
use crate::{
    epoch::TagSet,
    table::{Entry, Head, Place, Shard, Tail, Trash, Uses},
};
use hashbrown::Equivalent;
use std::hash::Hash;

impl<K: Hash + Eq, V: Clone> Store<K, V> {
    /// Stores a value unless something that concerns it was invalidated since
    /// its ticket was taken. What it replaces or evicts is dropped after the
    /// lock is released.
    pub fn insert(&self, key: K, value: V, put: &Put<'_>, now_ms: u64) -> Inserted {
        let hash = self.hash(&key);
        let now = self.now(now_ms);
        let mut trash = Trash::new();
        self.make_share(self.home(hash), entry_bytes::<K, V>(put), &now);
        let mut shard = self.lock(hash);
        let inserted = 'inserted: {
            if let Some(refused) = self.refuse(&mut shard, hash, &key, put, now.epoch, &mut trash) {
                trash.add(Some((key, value)));
                break 'inserted refused;
            }
            let found = shard.find(hash.print(), &key);
            let later = put.origin == Origin::Load
                && found.is_some_and(|at| {
                    let mut old = shard.slot(at);
                    old.tail.order > put.ticket.order && old.may_be_served(&now)
                });
            if later {
                trash.add(Some((key, value)));
                shard.counters.superseded += 1;
                break 'inserted Inserted::Superseded;
            }
            let entry = entry(key, value, hash, put, now_ms, now.epoch);
            if let Some(at) = found {
                shard.counters.replaced += 1;
                shard.replace(at, entry, &now, &mut trash);
            } else {
                shard.add(entry, &now, &mut trash);
            }
            shard.counters.inserts += 1;
            Inserted::Stored
        };
        drop(shard);
        inserted
    }

    /// Why the value must not go in, if it must not. A write moves its key's
    /// stamp in any case, and a key whose value is refused keeps no older one
    /// if that may be out of date.
    fn refuse(
        &self,
        shard: &mut Shard<K, V>,
        hash: Hashed,
        key: &K,
        put: &Put<'_>,
        epoch: u64,
        trash: &mut Trash<K, V>,
    ) -> Option<Inserted> {
        let overtaken = self.ledger.is_overtaken(hash.print(), put.ticket);
        let is_write = put.origin == Origin::Write;
        if is_write {
            self.ledger.overtake(hash.print());
        }
        let (refused, counter) = if overtaken && is_write {
            (Inserted::Conflict, &mut shard.counters.conflicts)
        } else if overtaken || !self.ledger.admits(key, put.tags, put.ticket, epoch) {
            (Inserted::BornDead, &mut shard.counters.born_dead)
        } else if !shard.admits(entry_bytes::<K, V>(put)) {
            (Inserted::TooLarge, &mut shard.counters.too_large)
        } else {
            return None;
        };
        *counter += 1;
        if (is_write || refused == Inserted::TooLarge)
            && let Some(at) = shard.find(hash.print(), key)
        {
            shard.counters.invalidated += 1;
            trash.add(shard.remove(at));
        }
        Some(refused)
    }

    /// Removes the key and dooms its loads that are in flight; whether it was
    /// there. An entry put with `keep_invalidated` stays for
    /// [`last_known`](Self::last_known).
    pub fn invalidate_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut shard = self.lock(hash);
        self.ledger.overtake(hash.print());
        shard.counters.key_invalidations += 1;
        let Some(at) = shard.find(hash.print(), key) else {
            return false;
        };
        let old = shard.invalidate(at);
        drop(shard);
        drop(old);
        true
    }
}

fn entry_bytes<K, V>(put: &Put<'_>) -> u64 {
    let own = Shard::<K, V>::ENTRY_BYTES as u64 + TagSet::heap_bytes(put.tags);
    own.saturating_add(put.heap_bytes)
}

/// The ticket's epoch is what it was born at; the ledger has just found it live at `checked`.
fn entry<K, V>(
    key: K,
    value: V,
    hash: Hashed,
    put: &Put<'_>,
    now_ms: u64,
    checked: u64,
) -> Entry<K, V> {
    Entry {
        key,
        value,
        head: Head {
            checked,
            stored_ms: now_ms,
            fresh_for_ms: put.fresh_for_ms,
            uses: Uses::default(),
        },
        tail: Tail {
            born: put.ticket.epoch,
            order: put.ticket.order,
            tags: TagSet::new(put.tags),
            stale_for_ms: put.stale_for_ms,
            hash: hash.print(),
            // A larger one was refused.
            bytes: u32::try_from(entry_bytes::<K, V>(put)).unwrap_or(u32::MAX),
            place: Place::Probation,
            keep_invalidated: put.keep_invalidated,
        },
    }
}
