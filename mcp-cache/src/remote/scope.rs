//! What can be invalidated in all processes, and where its stamps are.

use crate::epoch::Stamps;
use xxhash_rust::xxh3::Xxh3;

/// Slots of one row of stamps: `2^SLOT_BITS`. Part of the protocol: all
/// processes must agree.
const SLOT_BITS: u32 = if cfg!(mcp_loom) { 4 } else { 17 };

/// Something that can be invalidated. The discriminants are part of the
/// protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Tag = b't',
    Namespace = b'n',
    /// The name is the record's whole key.
    Key = b'k',
    /// Everything in one cache, by the cache's name.
    Cache = b'c',
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Tag, Self::Namespace, Self::Key, Self::Cache]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A kind and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) kind: Kind,
    pub(crate) name: Box<[u8]>,
}

/// What a scope is in every process and in the store: 64 bits that depend on
/// its kind and name only. Two that meet are invalidated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark(pub(crate) u64);

impl Scope {
    pub(crate) fn new(kind: Kind, name: impl AsRef<[u8]>) -> Self {
        Self {
            kind,
            name: name.as_ref().into(),
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark::of(self.kind, &self.name)
    }
}

impl Mark {
    pub(crate) fn of(kind: Kind, name: &[u8]) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&[kind as u8]);
        hash.update(name);
        Self(hash.digest())
    }

    /// Its slot in each of two rows. Its stamp is the lower of both, so that
    /// strangers can make it too high and never too low.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are cut to the size of a row"
    )]
    pub(crate) fn slots(self) -> [u32; 2] {
        let mask = (1 << SLOT_BITS) - 1;
        let (low, high) = (self.0 as u32 & mask, (self.0 >> 32) as u32 & mask);
        [low, high | 1 << SLOT_BITS]
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the stamps in memory take half a hash"
    )]
    pub(crate) fn fingerprint(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// The stamps that one process knows.
pub(crate) fn stamps() -> Stamps {
    Stamps::new(SLOT_BITS)
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    /// Other processes, and other versions of this crate, compute the same.
    #[test]
    fn marks_are_the_same_everywhere() {
        assert_eq!(Mark::of(Kind::Tag, b"agents").0, MARK_OF_AGENTS);
        assert_ne!(Mark::of(Kind::Namespace, b"agents").0, MARK_OF_AGENTS);
        let [low, high] = Mark(MARK_OF_AGENTS).slots();
        assert!(low < 1 << SLOT_BITS && (1 << SLOT_BITS..2 << SLOT_BITS).contains(&high));
    }

    const MARK_OF_AGENTS: u64 = 0xd655_4f13_3ed5_d5ab;

    #[test]
    fn kinds_survive_the_wire() {
        for kind in [Kind::Tag, Kind::Namespace, Kind::Key, Kind::Cache] {
            assert_eq!(Kind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_byte(b'x'), None);
    }
}
