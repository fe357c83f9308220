//! Values that are kept compressed where that pays.

use crate::error::{ConfigError, check};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest value that is compressed: 1 GiB.
const LEN_MAX: usize = 1 << 30;

/// What is compressed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompressConfig {
    /// How. Default lz4.
    pub algorithm: Algorithm,
    /// Bytes from which on a value is compressed. Default 4,096. Lowering it saves
    /// memory and makes more hits unpack.
    pub bytes_min: usize,
    /// The share of its size that a value must shrink to for the compressed form
    /// to be kept, in `(0, 1)`. Default 0.9. Lowering it keeps more values plain,
    /// which are faster to read.
    pub ratio_max: f64,
}

/// How values are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Unpacks at gigabytes a second.
    #[default]
    Lz4,
    /// Smaller, and several times slower.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Default for CompressConfig {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            bytes_min: 4_096,
            ratio_max: 0.9,
        }
    }
}

/// Bytes, compressed if they are many and if it paid. As the value of a cache it
/// weighs what it takes in memory.
///
/// ```
/// use mcp_cache::{CompressConfig, Packed};
///
/// let text = "the same again and again, ".repeat(1_000);
/// let packed = Packed::new(text.clone().into(), &CompressConfig::default());
/// assert!(packed.len() < text.len() / 10);
/// assert_eq!(packed.unpack()?, text);
/// # Ok::<_, mcp_cache::UnpackError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    bytes: Bytes,
    /// The length before, if it is compressed.
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Packed { algorithm: Algorithm, len: u32 },
}

/// A value that does not unpack: its memory is not what was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{algorithm:?} could not unpack {len} bytes")]
#[non_exhaustive]
pub struct UnpackError {
    /// How the value was packed.
    pub algorithm: Algorithm,
    /// How long it was before.
    pub len: usize,
}

impl CompressConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(
            self.ratio_max > 0.0 && self.ratio_max < 1.0,
            "ratio_max",
            "must be above 0 and below 1",
        )
    }
}

impl Packed {
    /// Packs `bytes` if they are at least [`bytes_min`](CompressConfig::bytes_min)
    /// and shrink as much as [`ratio_max`](CompressConfig::ratio_max) asks; keeps
    /// them as they are, without copying, otherwise.
    ///
    /// It computes: about a millisecond for a few megabytes.
    #[must_use]
    pub fn new(bytes: Bytes, config: &CompressConfig) -> Self {
        let pays = |packed: &Vec<u8>| packed.len() as f64 <= bytes.len() as f64 * config.ratio_max;
        let packed = match u32::try_from(bytes.len()) {
            Ok(len) if (config.bytes_min..=LEN_MAX).contains(&bytes.len()) => {
                compress(&bytes, config.algorithm)
                    .filter(pays)
                    .map(|packed| (packed, len))
            }
            _ => None,
        };
        let Some((mut packed, len)) = packed else {
            return Self::plain(bytes);
        };
        // The buffer was made for the worst case.
        packed.shrink_to_fit();
        Self {
            bytes: packed.into(),
            form: Form::Packed {
                algorithm: config.algorithm,
                len,
            },
        }
    }

    /// Keeps `bytes` as they are.
    #[must_use]
    pub fn plain(bytes: Bytes) -> Self {
        Self {
            bytes,
            form: Form::Plain,
        }
    }

    /// What was packed; a plain value is not copied.
    ///
    /// # Errors
    /// The memory is not what was packed.
    pub fn unpack(&self) -> Result<Bytes, UnpackError> {
        let Form::Packed { algorithm, len } = self.form else {
            return Ok(self.bytes.clone());
        };
        let len = len as usize;
        decompress(&self.bytes, algorithm, len)
            .filter(|bytes| bytes.len() == len)
            .map(Bytes::from)
            .ok_or(UnpackError { algorithm, len })
    }

    /// As [`new`](Self::new) left it, for reading it back.
    pub(crate) fn from_stored(bytes: Bytes, algorithm: Algorithm, len: u32) -> Self {
        Self {
            bytes,
            form: Form::Packed { algorithm, len },
        }
    }

    pub(crate) fn stored(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match self.form {
            Form::Plain => None,
            Form::Packed { algorithm, .. } => Some(algorithm),
        }
    }

    /// Bytes in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it is kept compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.form != Form::Plain
    }
}

fn compress(bytes: &[u8], algorithm: Algorithm) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Lz4 => Some(lz4_flex::block::compress(bytes)),
        #[cfg(feature = "zstd")]
        Algorithm::Zstd => zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL).ok(),
    }
}

fn decompress(bytes: &[u8], algorithm: Algorithm, len: usize) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Lz4 => lz4_flex::block::decompress(bytes, len).ok(),
        #[cfg(feature = "zstd")]
        Algorithm::Zstd => zstd::bulk::decompress(bytes, len).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::unit;
    use proptest::prelude::*;

    fn algorithms() -> Vec<Algorithm> {
        vec![
            Algorithm::Lz4,
            #[cfg(feature = "zstd")]
            Algorithm::Zstd,
        ]
    }

    #[test]
    fn only_what_is_large_and_shrinks_is_compressed() {
        let mut state = 1;
        let noise = (0..2_000).flat_map(|_| unit(&mut state).to_bits().to_le_bytes()[..5].to_vec());
        let noise: Vec<u8> = noise.collect();
        let rows: [(Vec<u8>, bool); 5] = [
            (vec![], false),
            (vec![7; 4_095], false),
            (vec![7; 4_096], true),
            (vec![7; 1 << 20], true),
            (noise, false),
        ];
        for algorithm in algorithms() {
            let config = CompressConfig {
                algorithm,
                ..CompressConfig::default()
            };
            for (bytes, compressed) in &rows {
                let packed = Packed::new(bytes.clone().into(), &config);
                assert_eq!(packed.is_compressed(), *compressed, "{} bytes", bytes.len());
                assert_eq!(packed.is_empty(), bytes.is_empty());
                assert_eq!(packed.unpack().as_deref(), Ok(&bytes[..]));
            }
        }
    }

    #[test]
    fn a_broken_value_is_an_error() {
        for algorithm in algorithms() {
            let config = CompressConfig {
                algorithm,
                ..CompressConfig::default()
            };
            let whole = Packed::new(vec![7; 1 << 16].into(), &config);
            let cut = Packed {
                bytes: whole.bytes.slice(..whole.len() / 2),
                ..whole
            };
            let error = UnpackError {
                algorithm,
                len: 1 << 16,
            };
            assert_eq!(cut.unpack(), Err(error));
        }
    }

    #[test]
    fn a_ratio_is_a_share() {
        for ratio_max in [0.0, 1.0, -1.0, f64::NAN] {
            let config = CompressConfig {
                ratio_max,
                ..CompressConfig::default()
            };
            assert_eq!(
                config.validate().map_err(|error| error.field),
                Err("ratio_max")
            );
        }
        assert_eq!(CompressConfig::default().validate(), Ok(()));
    }

    proptest! {
        #[test]
        fn everything_comes_back(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..50),
            times in 1usize..100,
            ratio_max in 0.1f64..0.99,
        ) {
            let bytes = Bytes::from(words.concat().repeat(times));
            for algorithm in algorithms() {
                let config = CompressConfig { algorithm, bytes_min: 64, ratio_max };
                let packed = Packed::new(bytes.clone(), &config);
                prop_assert!(packed.len() <= bytes.len());
                prop_assert_eq!(packed.unpack(), Ok(bytes.clone()));
            }
        }
    }
}
