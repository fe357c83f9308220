//! A circular list threaded through the slots of a slab.

use super::slab::{NIL, Slab};

/// First in, first out; any member can leave, and the hand can move on without
/// moving anyone.
#[derive(Debug)]
pub(crate) struct Ring {
    /// The oldest, or the next one that the hand looks at.
    head: u32,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self { head: NIL }
    }

    pub(crate) fn head(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// Puts `at` behind all others.
    pub(crate) fn push<K, V>(&mut self, slab: &mut Slab<K, V>, at: u32) {
        if self.head == NIL {
            let slot = slab.back_mut(at);
            (slot.prev, slot.next) = (at, at);
            self.head = at;
            return;
        }
        let head = slab.back_mut(self.head);
        let last = std::mem::replace(&mut head.prev, at);
        slab.back_mut(last).next = at;
        let slot = slab.back_mut(at);
        (slot.prev, slot.next) = (last, self.head);
    }

    /// Takes `at`, which is in this ring, out of it.
    pub(crate) fn remove<K, V>(&mut self, slab: &mut Slab<K, V>, at: u32) {
        let slot = slab.back(at);
        let (prev, next) = (slot.prev, slot.next);
        if next == at {
            self.head = NIL;
            return;
        }
        slab.back_mut(prev).next = next;
        slab.back_mut(next).prev = prev;
        if self.head == at {
            self.head = next;
        }
    }

    /// A member's slot, links included, is at `to` now.
    pub(crate) fn moved<K, V>(&mut self, slab: &mut Slab<K, V>, from: u32, to: u32) {
        let slot = slab.back_mut(to);
        if slot.next == from {
            (slot.prev, slot.next) = (to, to);
        } else {
            let (prev, next) = (slot.prev, slot.next);
            slab.back_mut(prev).next = to;
            slab.back_mut(next).prev = to;
        }
        if self.head == from {
            self.head = to;
        }
    }

    /// Lets the hand go past the head, which thereby becomes the last.
    pub(crate) fn advance<K, V>(&mut self, slab: &Slab<K, V>) {
        if self.head != NIL {
            self.head = slab.back(self.head).next;
        }
    }
}
