//! How much one shard may hold.

/// The part of the table, one in so many, that newcomers have to prove
/// themselves. More of it adapts faster to a new set, less keeps more of a loop.
const PROBATION: u64 = 1_000;

/// Bytes and entries of something, or how many of each there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

impl Size {
    pub(crate) fn add(&mut self, bytes: u32) {
        self.bytes += u64::from(bytes);
        self.entries += 1;
    }

    pub(crate) fn sub(&mut self, bytes: u32) {
        self.bytes -= u64::from(bytes);
        self.entries -= 1;
    }

    /// With one entry in another's place.
    pub(crate) fn changed(self, before: u32, after: u32) -> Self {
        Self {
            bytes: self.bytes - u64::from(before) + u64::from(after),
            ..self
        }
    }

    fn is_over(self, max: Self) -> bool {
        self.bytes > max.bytes || self.entries > max.entries
    }
}

/// The bounds of a shard; `u64::MAX` is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    all: Size,
    protected: Size,
}

impl Limit {
    pub(crate) fn new(bytes_max: u64, entries_max: u64) -> Self {
        let share = |max: u64| max - (max / PROBATION).max(1).min(max);
        Self {
            all: Size {
                bytes: bytes_max,
                entries: entries_max,
            },
            protected: Size {
                bytes: share(bytes_max),
                entries: share(entries_max),
            },
        }
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.all.bytes
    }

    /// With another bound in bytes.
    pub(crate) fn with_bytes(self, bytes_max: u64) -> Self {
        Self::new(bytes_max, self.all.entries)
    }

    pub(crate) fn entries_max(&self) -> u64 {
        self.all.entries
    }

    /// Whether an entry of this size fits into an empty shard.
    pub(crate) fn admits(&self, bytes: u32) -> bool {
        u64::from(bytes) <= self.all.bytes && self.all.entries > 0
    }

    pub(crate) fn is_full_for(&self, mut held: Size, bytes: u32) -> bool {
        held.add(bytes);
        held.is_over(self.all)
    }

    pub(crate) fn is_over(&self, held: Size) -> bool {
        held.is_over(self.all)
    }

    pub(crate) fn is_protected_full_for(&self, mut protected: Size, bytes: u32) -> bool {
        protected.add(bytes);
        protected.is_over(self.protected)
    }
}
