//! Opening the database: the folder, the connections and their settings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{SqliteConfig, error::OpenError, schema};

/// The database's file name inside the data directory.
const FILE_NAME: &str = "memory.db";

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
        .map_err(|source| OpenError::database(path, source))?;
    Ok(connection)
}

fn connect(path: &Path, mode: OpenFlags, config: &SqliteConfig) -> Result<Connection, OpenError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let failed = |source| OpenError::database(path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // First of all, so that everything below waits for another process too.
    connection
        .busy_timeout(config.busy_timeout)
        .map_err(failed)?;
    // The settings write to the file, so it must be ours before they are made.
    schema::recognize(&connection, path)?;
    settle(&connection).map_err(failed)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -16_384)?; // KiB
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
