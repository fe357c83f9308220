//! What is shared, as bytes: an answer, whose it is, and the place of the log at which it was so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::memory::search::Watermark;

/// The layout; a record of another one is none.
const FORMAT: u8 = 1;

/// An answer that one process has read and another one may use.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<T> {
    /// What was asked, and by whom: whatever goes wrong with names, nobody is given another's.
    key: String,
    sequence: i64,
    stamp: i64,
    /// Milliseconds since 1970.
    until_ms: i64,
    pub(super) answer: T,
}

impl<T: Serialize + DeserializeOwned> Record<T> {
    pub(super) fn new(key: String, at: Watermark, until_ms: i64, answer: T) -> Self {
        Self {
            key,
            sequence: at.sequence,
            stamp: at.stamp,
            until_ms,
            answer,
        }
    }

    /// `None` for what has no form, which no answer is.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![FORMAT];
        rmp_serde::encode::write_named(&mut bytes, self).ok()?;
        Some(bytes)
    }

    /// `None` for what is damaged, of another layout, too old, or the answer to something else.
    pub(super) fn decode(bytes: &[u8], key: &str) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let record: Self = rmp_serde::from_slice(bytes).ok()?;
        (record.key == key && record.left_ms() > 0).then_some(record)
    }

    /// The place of the log at which it was so.
    pub(super) fn at(&self) -> Watermark {
        Watermark {
            sequence: self.sequence,
            stamp: self.stamp,
        }
    }

    /// How long it may be used.
    pub(super) fn left_ms(&self) -> i64 {
        self.until_ms
            .saturating_sub(Timestamp::now().as_millisecond())
    }
}

/// The name that the answer to `key` is kept under: as long for all, and it gives nothing away.
pub(super) fn name(key: &str) -> bytes::Bytes {
    let hash = Sha256::digest(key.as_bytes());
    let mut name = String::with_capacity(34);
    name.push_str("a:");
    for byte in &hash[..16] {
        name.push_str(&format!("{byte:02x}"));
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOON_MS: i64 = 60_000;

    fn record(key: &str) -> Record<Vec<String>> {
        let at = Watermark {
            sequence: 7,
            stamp: -3,
        };
        let until_ms = Timestamp::now().as_millisecond() + SOON_MS;
        Record::new(key.to_owned(), at, until_ms, vec!["a".to_owned()])
    }

    #[test]
    fn a_record_is_read_back_by_who_asked_the_same() {
        let bytes = record("ann").encode().unwrap();
        let read = Record::<Vec<String>>::decode(&bytes, "ann").unwrap();
        assert_eq!(
            (read.at(), &read.answer),
            (record("ann").at(), &vec!["a".to_owned()])
        );
        assert!(Record::<Vec<String>>::decode(&bytes, "bob").is_none());
        let mut other = bytes.clone();
        other[0] += 1;
        assert!(Record::<Vec<String>>::decode(&other, "ann").is_none());
        let mut old = record("ann");
        old.until_ms -= 2 * SOON_MS;
        assert!(Record::<Vec<String>>::decode(&old.encode().unwrap(), "ann").is_none());
    }

    proptest! {
        #[test]
        fn damage_is_no_record_and_no_panic(at in 0_usize..200, byte in any::<u8>(), len in 0_usize..200) {
            let mut bytes = record("ann").encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(len);
            let _ = Record::<Vec<String>>::decode(&bytes, "ann");
        }
    }
}
