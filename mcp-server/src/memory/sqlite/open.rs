//! Opening the database: the folder, the connections and their settings.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{SqliteConfig, schema};

/// The database's file name inside the data directory.
const FILE_NAME: &str = "memory.db";

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
    /// The operating system gives no more threads.
    #[error("cannot start a thread for the memory database: {source}")]
    Thread {
        /// What the operating system says.
        source: io::Error,
    },
}

/// Creates the folder if need be, for this user only, proves that it can be written, and returns
/// the path of the database in it.
pub(super) fn prepare_dir(dir: &Path) -> Result<PathBuf, OpenError> {
    let refused = |source| OpenError::Directory {
        path: dir.to_owned(),
        source,
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(refused)?;

    let path = dir.join(FILE_NAME);
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map_err(refused)?;
    Ok(path)
}

/// The one connection that writes; it brings the schema up to date.
pub(super) fn writer(path: &Path, config: &SqliteConfig) -> Result<Connection, OpenError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config)?;
    schema::migrate(&mut connection, path)?;
    Ok(connection)
}

/// A connection that refuses to write.
pub(super) fn reader(path: &Path, config: &SqliteConfig) -> Result<Connection, OpenError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|source| database_error(path, source))?;
    Ok(connection)
}

pub(super) fn database_error(path: &Path, source: rusqlite::Error) -> OpenError {
    OpenError::Database {
        path: path.to_owned(),
        source,
    }
}

fn connect(path: &Path, mode: OpenFlags, config: &SqliteConfig) -> Result<Connection, OpenError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        // First of all, so that the settings below wait for another process too.
        connection.busy_timeout(config.busy_timeout)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "cache_size", -16_384)?; // KiB
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|source| database_error(path, source))
}
