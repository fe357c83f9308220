//! A value as the second tier keeps it.
//!
//! ```text
//! version   1 byte, 1
//! flags     1 byte: 1 packed by lz4, 2 packed by zstd, 4 has a time to live
//! checksum  8 bytes: xxh3 of all that follows and of the two bytes before,
//!           seeded by the xxh3 of the record's key
//! born      8 bytes: the epoch before the value was loaded
//! stored, ttl    varints, milliseconds (since 1970, span), if it has a time to live
//! scopes    varint; each a kind byte and a name with its length as a varint
//! length    varint, if packed: that of the value
//! value     the rest
//! ```
//! Numbers are little-endian.

use super::{
    scope::{Kind, Mark},
    wire::{Reader, put_bytes, put_varint},
};
use crate::{CompressConfig, Packed, compress::Algorithm};
use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const VERSION: u8 = 1;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;
const HAS_TTL: u8 = 4;
/// Version, flags, checksum.
const HEAD: usize = 10;
/// Tags of one value, and its namespace.
pub(crate) const SCOPES_MAX: usize = 4_096;

/// A value and what decides whether it may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) born: u64,
    pub(crate) expiry: Option<Expiry>,
    /// Tags, and possibly a namespace.
    pub(crate) scopes: Vec<(Kind, Bytes)>,
    pub(crate) value: Bytes,
}

/// The value's own time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) stored_unix_ms: u64,
    pub(crate) ttl_ms: u64,
}

/// Why bytes are no record that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Written by a later version of this crate.
    Newer,
    /// Not what was written under this key.
    Corrupt,
}

impl Record {
    pub(crate) fn encode(&self, key: &[u8], config: &CompressConfig) -> Bytes {
        let packed = Packed::new(self.value.clone(), config);
        let names: usize = self.scopes.iter().map(|(_, name)| name.len() + 6).sum();
        let mut out = Vec::with_capacity(HEAD + 40 + names + packed.len());
        let mut flags = match packed.algorithm() {
            None => 0,
            Some(Algorithm::Lz4) => LZ4,
            #[cfg(feature = "zstd")]
            Some(Algorithm::Zstd) => ZSTD,
        };
        if self.expiry.is_some() {
            flags |= HAS_TTL;
        }
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.born.to_le_bytes());
        if let Some(expiry) = self.expiry {
            put_varint(&mut out, expiry.stored_unix_ms);
            put_varint(&mut out, expiry.ttl_ms);
        }
        put_varint(&mut out, self.scopes.len() as u64);
        for (kind, name) in &self.scopes {
            out.push(*kind as u8);
            put_bytes(&mut out, name);
        }
        if packed.is_compressed() {
            put_varint(&mut out, self.value.len() as u64);
        }
        out.extend_from_slice(packed.stored());
        let sum = checksum(key, &out).to_le_bytes();
        out[2..HEAD].copy_from_slice(&sum);
        out.into()
    }

    /// The record that was written under `key`; its value is a part of `bytes`
    /// unless it was compressed. `value_bytes_max` bounds what is unpacked.
    pub(crate) fn decode(
        key: &[u8],
        bytes: &Bytes,
        value_bytes_max: usize,
    ) -> Result<Self, Unreadable> {
        match bytes.first() {
            None | Some(0) => return Err(Unreadable::Corrupt),
            Some(&VERSION) => {}
            Some(_) => return Err(Unreadable::Newer),
        }
        let stored = bytes.get(2..HEAD).and_then(|sum| sum.try_into().ok());
        let stored = stored.map(u64::from_le_bytes).ok_or(Unreadable::Corrupt)?;
        if checksum(key, bytes) != stored {
            return Err(Unreadable::Corrupt);
        }
        Self::parse(bytes[1], bytes.slice(HEAD..), value_bytes_max).ok_or(Unreadable::Corrupt)
    }

    fn parse(flags: u8, body: Bytes, value_bytes_max: usize) -> Option<Self> {
        let mut reader = Reader(body);
        let born = reader.u64()?;
        let expiry = match flags & HAS_TTL {
            0 => None,
            _ => Some(Expiry {
                stored_unix_ms: reader.varint()?,
                ttl_ms: reader.varint()?,
            }),
        };
        let count = reader.varint()?;
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= SCOPES_MAX)?;
        let scope = |reader: &mut Reader| Some((Kind::from_byte(reader.byte()?)?, reader.bytes()?));
        let scopes = (0..count)
            .map(|_| scope(&mut reader))
            .collect::<Option<_>>()?;
        let algorithm = match flags & (LZ4 | ZSTD) {
            0 => None,
            LZ4 => Some(Algorithm::Lz4),
            #[cfg(feature = "zstd")]
            ZSTD => Some(Algorithm::Zstd),
            _ => return None,
        };
        let value = match algorithm {
            None => reader.0,
            Some(algorithm) => {
                let len = u32::try_from(reader.varint()?).ok()?;
                if len as usize > value_bytes_max {
                    return None;
                }
                Packed::from_stored(reader.0, algorithm, len)
                    .unpack()
                    .ok()?
            }
        };
        Some(Self {
            born,
            expiry,
            scopes,
            value,
        })
    }

    /// What it is invalidated by: its scopes, its key, its cache.
    pub(crate) fn marks<'a>(&'a self, key: &[u8], cache: Mark) -> impl Iterator<Item = Mark> + 'a {
        let own = [Mark::of(Kind::Key, key), cache];
        let scopes = self.scopes.iter();
        own.into_iter()
            .chain(scopes.map(|(kind, name)| Mark::of(*kind, name)))
    }
}

/// Of all but the checksum itself; a record that was moved to another key does
/// not fit either.
fn checksum(key: &[u8], record: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(xxh3_64(key));
    hash.update(&record[..2]);
    hash.update(&record[HEAD..]);
    hash.digest()
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let kinds = prop::sample::select(vec![Kind::Tag, Kind::Namespace]);
        let scope = (kinds, prop::collection::vec(any::<u8>(), 0..20));
        let scopes = prop::collection::vec(scope, 0..8);
        let expiry = prop::option::of((any::<u64>(), any::<u64>()));
        // Few different bytes, so that some compress.
        let value = prop::collection::vec(0u8..4, 0..600);
        (any::<u64>(), expiry, scopes, value).prop_map(|(born, expiry, scopes, value)| Record {
            born,
            expiry: expiry.map(|(stored_unix_ms, ttl_ms)| Expiry {
                stored_unix_ms,
                ttl_ms,
            }),
            scopes: scopes
                .into_iter()
                .map(|(kind, name)| (kind, name.into()))
                .collect(),
            value: value.into(),
        })
    }

    fn config() -> CompressConfig {
        CompressConfig {
            bytes_min: 128,
            ..CompressConfig::default()
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record in any_record(), key in "[a-z:]{1,20}") {
            let bytes = record.encode(key.as_bytes(), &config());
            let read = Record::decode(key.as_bytes(), &bytes, 1 << 20);
            prop_assert_eq!(read, Ok(record));
        }

        /// Under another key it is none.
        #[test]
        fn a_record_belongs_to_its_key(record in any_record()) {
            let bytes = record.encode(b"mine", &config());
            prop_assert!(Record::decode(b"yours", &bytes, 1 << 20).is_err());
        }

        #[test]
        fn every_flipped_bit_and_every_cut_is_found(record in any_record()) {
            let bytes = record.encode(b"key", &config());
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(Record::decode(b"key", &flipped.into(), 1 << 20).is_err(), "{bit}");
            }
            for len in 0..bytes.len() {
                prop_assert!(Record::decode(b"key", &bytes.slice(..len), 1 << 20).is_err(), "{len}");
            }
        }

        #[test]
        fn no_bytes_make_it_panic(flags in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = vec![VERSION, flags, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(body);
            let sum = checksum(b"key", &bytes).to_le_bytes();
            bytes[2..HEAD].copy_from_slice(&sum);
            // Whatever comes: it ends, and unpacks no more than it may.
            if let Ok(record) = Record::decode(b"key", &bytes.into(), 1 << 16) {
                prop_assert!(record.value.len() <= 1 << 16);
            }
        }
    }

    #[test]
    fn later_versions_are_misses_and_large_values_are_refused() {
        let record = Record {
            born: 7,
            expiry: None,
            scopes: vec![],
            value: vec![0; 10_000].into(),
        };
        let bytes = record.encode(b"key", &config());
        assert!(bytes.len() < 200, "{}", bytes.len());
        let refused = Record::decode(b"key", &bytes, 9_999);
        assert_eq!(refused, Err(Unreadable::Corrupt));
        let mut later = bytes.to_vec();
        later[0] = VERSION + 1;
        let later = Record::decode(b"key", &later.into(), 1 << 20);
        assert_eq!(later, Err(Unreadable::Newer));
    }
}
