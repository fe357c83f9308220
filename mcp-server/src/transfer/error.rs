//! Why a file could not be read or written as a whole.

use std::io;

use crate::memory::MemoryError;

/// Why an import or export stopped. What was imported until then stays; the same command can be
/// given again and goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file could not be read.
    #[error("cannot read `{name}`: {source}")]
    Read {
        /// The file, as given.
        name: String,
        /// What the operating system or the decompressor says.
        source: io::Error,
    },
    /// The file is nothing that is known here.
    #[error(
        "`{name}` is no export that is known here: {reason}. Known are this program's own export \
         (JSON lines), an OpenMemory export (.zip), mem0's list of memories (JSON), and the file \
         of the reference memory server (JSON lines)"
    )]
    Unknown {
        /// The file, as given.
        name: String,
        /// What was found instead.
        reason: String,
    },
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Write(#[source] io::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] MemoryError),
}
