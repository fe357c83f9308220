//! Unpacking, as far as it is allowed to go.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use tokio::sync::Semaphore;

use super::{Coding, INLINE_BYTES_MAX};

/// Bodies that are unpacked at once: whoever sends a bomb has others wait, and not
/// the memory filled.
const AT_ONCE_MAX: usize = 2;
const BROTLI_BUFFER_LEN: usize = 4096;
/// The largest window that a body may ask for, as a power of two (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

/// Why a body was not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum UnpackError {
    /// More comes out than is allowed.
    TooLarge,
    /// It is not what its coding says.
    Broken,
}

/// Unpacks bodies, a few at once. Clones share the bound.
#[derive(Debug, Clone)]
pub(in super::super) struct Unpacker(Arc<Semaphore>);

impl Default for Unpacker {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE_MAX)))
    }
}

impl Unpacker {
    /// What `packed` was made of, at most `bytes_max` bytes: a bomb is given up when it passes them,
    /// and nothing that it says of its size is believed.
    pub(in super::super) async fn unpack(
        &self,
        packed: Bytes,
        coding: Coding,
        bytes_max: usize,
    ) -> Result<Bytes, UnpackError> {
        // Before there is a decoder: one that waits would hold its window.
        let place = self.0.clone().acquire_owned().await;
        // Nothing may come out of much.
        let is_small = packed.len() <= INLINE_BYTES_MAX;
        let mut source = reader(packed, coding).map_err(|_| UnpackError::Broken)?;
        let mut plain = Vec::new();
        if is_small {
            let next = fill(&mut source, &mut plain, INLINE_BYTES_MAX.min(bytes_max))?;
            let Some(next) = next else {
                return Ok(plain.into());
            };
            if plain.len() >= bytes_max {
                return Err(UnpackError::TooLarge);
            }
            plain.push(next);
        }
        let rest = tokio::task::spawn_blocking(move || {
            let _place = place;
            match fill(&mut source, &mut plain, bytes_max)? {
                None => Ok(plain.into()),
                Some(_) => Err(UnpackError::TooLarge),
            }
        });
        rest.await.unwrap_or(Err(UnpackError::Broken))
    }
}

/// Reads until there are `bytes_max` bytes, or to the end. The byte behind them, if there is one.
fn fill(
    source: &mut impl Read,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Option<u8>, UnpackError> {
    let room = bytes_max - plain.len();
    let read = source.by_ref().take(room as u64).read_to_end(plain);
    read.map_err(|_| UnpackError::Broken)?;
    if plain.len() < bytes_max {
        return Ok(None);
    }
    let mut next = [0];
    match source.read(&mut next) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(next[0])),
        Err(_) => Err(UnpackError::Broken),
    }
}

fn reader(packed: Bytes, coding: Coding) -> io::Result<Box<dyn Read + Send>> {
    let packed = packed.reader();
    Ok(match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Coding::Deflate => Box::new(ZlibDecoder::new(packed)),
        Coding::Brotli => Box::new(brotli::Decompressor::new(packed, BROTLI_BUFFER_LEN)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{super::pack::pack, *};

    async fn unpack(packed: &[u8], coding: Coding, max: usize) -> Result<Bytes, UnpackError> {
        let packed = Bytes::copy_from_slice(packed);
        Unpacker::default().unpack(packed, coding, max).await
    }

    #[tokio::test]
    async fn what_was_packed_comes_out_up_to_the_bound() {
        for coding in Coding::ALL {
            for len in [
                0,
                1,
                100,
                INLINE_BYTES_MAX - 1,
                INLINE_BYTES_MAX,
                INLINE_BYTES_MAX + 1,
                300_000,
            ] {
                let plain = b"{\"some\": \"text\"} ".repeat(len / 17 + 1);
                let plain = &plain[..len];
                let packed = pack(plain, coding).unwrap();
                for max in [len.max(1), len + 1, len + 100_000] {
                    let out = unpack(&packed, coding, max).await;
                    assert_eq!(out.as_deref(), Ok(plain), "{coding:?} {len} {max}");
                }
                for max in [1, len / 2, len.saturating_sub(1)] {
                    if max > 0 && max < len {
                        let out = unpack(&packed, coding, max).await;
                        assert_eq!(out, Err(UnpackError::TooLarge), "{coding:?} {len} {max}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_broken_is_said_to_be_so() {
        for coding in Coding::ALL {
            let packed = pack(&b"some text ".repeat(10_000), coding).unwrap();
            let mut flipped = packed.clone();
            let half = packed.len() / 2;
            flipped[half] ^= 0x55;
            for odd in [
                &packed[..packed.len() - 1],
                &packed[..half],
                b"",
                b"no such thing",
                &flipped,
            ] {
                let out = unpack(odd, coding, 1_000_000).await;
                // Not every coding has a checksum.
                let passes = odd.len() == packed.len() && coding == Coding::Brotli
                    || odd.len() == packed.len() && coding == Coding::Zstd;
                assert!(
                    out == Err(UnpackError::Broken) || passes,
                    "{coding:?} {out:?}"
                );
            }
        }
    }
}
