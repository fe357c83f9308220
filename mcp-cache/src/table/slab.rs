//! Entries in chunks: they never move, and growing copies nothing.
//!
//! One growing vector would hold up to twice the memory and copy all entries
//! under the shard's lock whenever it grows; a box per entry costs an
//! allocation and its header. A chunk costs one more load, from a small array
//! that stays in the cache.

const CHUNK_BITS: u32 = 6;
const CHUNK: usize = 1 << CHUNK_BITS;

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slot<T> {
    item: Option<T>,
    /// Neighbours in a [`Ring`](super::ring::Ring); of a free slot, `next` is the next free one.
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Box<[Slot<T>; CHUNK]>>,
    free: u32,
}

impl<T> Slab<T> {
    /// Bytes that one more item takes.
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: NIL,
        }
    }

    /// Slots, free ones included; every index is below.
    pub(crate) fn slots(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    #[inline]
    pub(crate) fn slot(&self, at: u32) -> &Slot<T> {
        &self.chunks[(at >> CHUNK_BITS) as usize][at as usize % CHUNK]
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self, at: u32) -> &mut Slot<T> {
        &mut self.chunks[(at >> CHUNK_BITS) as usize][at as usize % CHUNK]
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.slot(at).item.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.slot_mut(at).item.as_mut()
    }

    /// Puts an item into a free slot, whose links are left to the caller.
    pub(crate) fn put(&mut self, item: T) -> u32 {
        if self.free == NIL {
            self.grow();
        }
        let at = self.free;
        let slot = self.slot_mut(at);
        slot.item = Some(item);
        self.free = slot.next;
        at
    }

    /// Takes the item out; the slot must be in no ring any more.
    pub(crate) fn take(&mut self, at: u32) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(at);
        let item = slot.item.take()?;
        slot.next = free;
        self.free = at;
        Some(item)
    }

    #[cold]
    fn grow(&mut self) {
        const LAST: usize = (NIL as usize) - 2 * CHUNK;
        assert!(self.slots() < LAST, "fewer than 2^32 entries in a shard");
        let first = u32::try_from(self.slots()).unwrap_or(NIL);
        let slots: Vec<Slot<T>> = (first + 1..)
            .take(CHUNK)
            .map(|next| Slot {
                item: None,
                prev: NIL,
                next,
            })
            .collect();
        let chunk: Result<Box<[Slot<T>; CHUNK]>, _> = slots.into_boxed_slice().try_into();
        let Ok(mut chunk) = chunk else {
            unreachable!("a chunk of exactly that many slots was collected")
        };
        chunk[CHUNK - 1].next = NIL;
        self.chunks.push(chunk);
        self.free = first;
    }
}
