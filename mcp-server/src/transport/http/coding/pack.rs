//! Packing.

use std::io::{self, Write};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};

use super::Coding;

/// Levels at which packing takes less time than sending the rest would over a slow line: higher
/// ones save a few percent more and take several times as long.
const DEFLATE_LEVEL: u32 = 4;
const BROTLI_QUALITY: u32 = 3;
const ZSTD_LEVEL: i32 = 2;
const BROTLI_BUFFER_LEN: usize = 4096;
/// Bytes that a match may lie back, as a power of two: answers are seldom larger.
const BROTLI_WINDOW: u32 = 20;

/// The packed form of `plain`.
pub(super) fn pack(plain: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    let packed = Vec::with_capacity(plain.len() / 4);
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(packed, Compression::new(DEFLATE_LEVEL));
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(packed, Compression::new(DEFLATE_LEVEL));
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Coding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(
                packed,
                BROTLI_BUFFER_LEN,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            );
            encoder.write_all(plain)?;
            // Ends the stream, too.
            Ok(encoder.into_inner())
        }
        Coding::Zstd => zstd::bulk::compress(plain, ZSTD_LEVEL),
    }
}
