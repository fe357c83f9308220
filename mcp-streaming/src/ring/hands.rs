//! What readers hold that the ring does not count as theirs any more: a reader
//! that was replaced has buffers in its hands until it comes back or goes, and
//! until then they are in memory. Plain values.

use std::{collections::BTreeMap, ops::Range};

#[derive(Debug, Default)]
pub(super) struct Hands {
    /// Readers and the ids that they hold.
    hands: Vec<(u32, Range<u64>)>,
    /// Events that left the ring while they were held: weight, and in how many
    /// hands.
    gone: BTreeMap<u64, (u64, u32)>,
}

impl Hands {
    pub(super) fn is_empty(&self) -> bool {
        self.hands.is_empty() && self.gone.is_empty()
    }

    /// The reader holds these ids; the ring does not know of it any more.
    pub(super) fn keep(&mut self, reader: u32, ids: Range<u64>) {
        self.hands.push((reader, ids));
    }

    /// In how many hands the event is.
    pub(super) fn holders(&self, id: u64) -> u32 {
        let holds = |(_, ids): &&(u32, Range<u64>)| ids.contains(&id);
        self.hands.iter().filter(holds).map(|_| 1).sum()
    }

    /// The event left the ring while it was in so many hands.
    pub(super) fn left(&mut self, id: u64, weight: u64, holders: u32) {
        self.gone.insert(id, (weight, holders));
    }

    /// One holder lets go of these ids; the weight of what nobody holds any more.
    pub(super) fn release(&mut self, ids: Range<u64>) -> u64 {
        let free = self.gone.extract_if(ids, |_, (_, holders)| {
            *holders -= 1;
            *holders == 0
        });
        free.map(|(_, (weight, _))| weight).sum()
    }

    /// The reader lets go of everything that was kept for it.
    pub(super) fn leave(&mut self, reader: u32) -> u64 {
        let hands = self.hands.extract_if(.., |(holder, _)| *holder == reader);
        let hands: Vec<_> = hands.collect();
        hands.into_iter().map(|(_, ids)| self.release(ids)).sum()
    }
}
