//! Why the embedded store could not be opened, in words that say what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the embedded store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data directory cannot be created or written.
    #[error(
        "cannot use `{}` as data directory: {source}. Choose another one with --data-dir, or make \
         this one a folder that you may write",
        path.display()
    )]
    Directory {
        /// The data directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is there, but SQLite cannot open or read it.
    #[error(
        "cannot open the memory database `{}`: {source}. Check its permissions and the free disk \
         space; if the file is damaged, move it away or restore a backup",
        path.display()
    )]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "the memory database `{}` has schema version {found}, this program knows only up to \
         {known}: use a newer mcp-server, or another --data-dir",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The file's schema version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The file is a SQLite database of some other program.
    #[error(
        "`{}` is the database of another program: choose another --data-dir",
        path.display()
    )]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file system cannot share memory between processes.
    #[error(
        "`{}` is on a file system that SQLite's write-ahead log does not work on (a network \
         drive?): choose a --data-dir on a local disk",
        path.display()
    )]
    NoWal {
        /// The database file.
        path: PathBuf,
    },
    /// The operating system gives no more threads.
    #[error("cannot start a thread for the memory database: {source}")]
    Thread {
        /// What the operating system says.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn database(path: &Path, source: rusqlite::Error) -> Self {
        Self::Database {
            path: path.to_owned(),
            source,
        }
    }
}
