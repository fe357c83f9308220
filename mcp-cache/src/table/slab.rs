//! Slots in chunks: they never move, and growing copies nothing.
//!
//! One growing vector would hold up to twice the memory and copy all entries
//! under the shard's lock whenever it grows; a box per entry costs an
//! allocation and its header. A chunk costs one more load, from a small array
//! that stays in the cache.
//!
//! A slot has two halves, in chunks of their own: what every read needs, which
//! is one cache line for a small key and a handle to a value, and the rest. So
//! the memory that reads walk through is half of the whole, in pages as well as in lines.

use super::{
    TagSet,
    entry::{Entry, Head, Tail},
};

const CHUNK_BITS: u32 = 6;
const CHUNK: usize = 1 << CHUNK_BITS;

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

/// The half of a slot that every read needs; `item` is `None` in a free slot.
#[derive(Debug)]
pub(crate) struct Front<K, V> {
    pub(crate) item: Option<(K, V)>,
    pub(crate) head: Head,
}

/// The other half.
#[derive(Debug, Default)]
pub(crate) struct Back {
    pub(crate) tail: Tail,
    /// Neighbours in a [`Ring`](super::ring::Ring); of a free slot, `next` is the next free one.
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

/// Both halves.
#[derive(Debug)]
pub(crate) struct Slot<'a, K, V> {
    pub(crate) item: &'a mut Option<(K, V)>,
    pub(crate) head: &'a mut Head,
    pub(crate) tail: &'a mut Tail,
}

type Chunks<T> = Vec<Box<[T; CHUNK]>>;

/// The chunks of the fronts come first: see the shard.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slab<K, V> {
    fronts: Chunks<Front<K, V>>,
    backs: Chunks<Back>,
    free: u32,
}

#[inline]
fn place(at: u32) -> (usize, usize) {
    ((at >> CHUNK_BITS) as usize, at as usize % CHUNK)
}

impl<K, V> Slab<K, V> {
    /// Bytes that one more entry takes.
    pub(crate) const SLOT_BYTES: usize = size_of::<Front<K, V>>() + size_of::<Back>();

    pub(crate) fn new() -> Self {
        Self {
            fronts: Vec::new(),
            backs: Vec::new(),
            free: NIL,
        }
    }

    /// Slots, free ones included; every number is below. The other functions
    /// panic if there is no such slot.
    pub(crate) fn slots(&self) -> usize {
        self.backs.len() * CHUNK
    }

    #[inline]
    pub(crate) fn front(&self, at: u32) -> &Front<K, V> {
        let (chunk, at) = place(at);
        &self.fronts[chunk][at]
    }

    #[inline]
    pub(crate) fn front_mut(&mut self, at: u32) -> &mut Front<K, V> {
        let (chunk, at) = place(at);
        &mut self.fronts[chunk][at]
    }

    #[inline]
    pub(crate) fn back(&self, at: u32) -> &Back {
        let (chunk, at) = place(at);
        &self.backs[chunk][at]
    }

    #[inline]
    pub(crate) fn back_mut(&mut self, at: u32) -> &mut Back {
        let (chunk, at) = place(at);
        &mut self.backs[chunk][at]
    }

    pub(crate) fn slot(&mut self, at: u32) -> Slot<'_, K, V> {
        let (chunk, at) = place(at);
        let front = &mut self.fronts[chunk][at];
        Slot {
            item: &mut front.item,
            head: &mut front.head,
            tail: &mut self.backs[chunk][at].tail,
        }
    }

    /// Puts an entry into a free slot, whose links are left to the caller.
    pub(crate) fn put(&mut self, entry: Entry<K, V>) -> u32 {
        if self.free == NIL {
            self.grow();
        }
        let at = self.free;
        self.free = self.back(at).next;
        self.slot(at).replace(entry);
        at
    }

    /// Takes the entry out; its slot must be in no ring any more.
    pub(crate) fn take(&mut self, at: u32) -> Option<(K, V)> {
        let item = self.front_mut(at).item.take()?;
        let free = self.free;
        let back = self.back_mut(at);
        back.tail.tags = TagSet::default();
        back.next = free;
        self.free = at;
        Some(item)
    }

    #[cold]
    fn grow(&mut self) {
        const LAST: usize = (NIL as usize) - 2 * CHUNK;
        assert!(self.slots() < LAST, "fewer than 2^32 entries in a shard");
        let first = u32::try_from(self.slots()).unwrap_or(NIL);
        self.fronts.push(chunk(|_| Front {
            item: None,
            head: Head::default(),
        }));
        self.backs.push(chunk(|n| Back {
            next: if n + 1 == 1 << CHUNK_BITS {
                NIL
            } else {
                first + n + 1
            },
            ..Back::default()
        }));
        self.free = first;
    }
}

/// Made on the heap, where a large array does not pass over the stack.
fn chunk<T>(make: impl FnMut(u32) -> T) -> Box<[T; CHUNK]> {
    let made: Vec<T> = (0u32..).take(CHUNK).map(make).collect();
    let Ok(chunk) = made.into_boxed_slice().try_into() else {
        unreachable!("exactly that many were made")
    };
    chunk
}

impl<K, V> Slot<'_, K, V> {
    /// Puts another entry into this place; the one that was there.
    pub(crate) fn replace(self, entry: Entry<K, V>) -> Option<(K, V)> {
        *self.head = entry.head;
        *self.tail = entry.tail;
        self.item.replace((entry.key, entry.value))
    }
}
