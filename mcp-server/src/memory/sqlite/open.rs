//! Opening the database: the folder, the connections and their settings.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::time::Instant;

use super::{SqliteConfig, error::OpenError, executor::Stop, schema};

/// The database's file name inside the data directory.
pub(super) const FILE_NAME: &str = "memory.db";
/// How long to wait before trying again what another process got in the way of.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// Creates the folder and an empty file in it if need be, for this user only, and returns the
/// path of the file.
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

    // A file that is there is left alone: closing it here would drop the locks that other
    // connections of this process hold on it (POSIX fcntl).
    let path = dir.join(FILE_NAME);
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path) {
        Ok(_) => sync_dirs(dir).map_err(refused)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refused(error)),
    }
    Ok(path)
}

/// Makes the new file, and the folder that may be new, survive a power cut.
fn sync_dirs(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        // The parent of a relative path of one name is the empty path: the working directory.
        let dir = match dir.as_os_str().is_empty() {
            true => Path::new("."),
            false => dir,
        };
        match fs::File::open(dir) {
            Ok(dir) => dir.sync_all()?,
            // A folder that may be entered but not listed cannot be opened, nor synced.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The one connection that writes; it brings the schema up to date.
pub(super) fn writer(path: &Path, config: &SqliteConfig) -> Result<Connection, OpenError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config)?;
    schema::migrate(&mut connection, path)?;
    // From here on `patiently` waits: SQLite's own pauses grow to 100 ms, in which another process
    // that writes all the time gives the lock back and takes it again many times.
    connection
        .busy_timeout(Duration::ZERO)
        .map_err(|source| OpenError::database(path, source))?;
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
    let journal_mode =
        patiently(config.busy_timeout, &|| false, || settle(&connection)).map_err(failed)?;
    match journal_mode.as_str() {
        "wal" => Ok(connection),
        _ => Err(OpenError::NoWal {
            path: path.to_owned(),
        }),
    }
}

/// Repeats what another process got in the way of, for up to `timeout` and until `stop`. When
/// opening, SQLite waits by itself in all cases but one: two connections that switch a file to WAL
/// at once.
#[expect(
    clippy::disallowed_methods,
    reason = "opening blocks anyway, before anything is served; writes have a thread of their own"
)]
pub(super) fn patiently<T>(
    timeout: Duration,
    stop: Stop<'_>,
    attempt: impl Fn() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match attempt() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline
                    && !stop() =>
            {
                std::thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

/// Makes the settings and returns the journal mode that came of it.
fn settle(connection: &Connection) -> rusqlite::Result<String> {
    let journal_mode =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -16_384)?; // KiB
    connection.set_prepared_statement_cache_capacity(64);
    Ok(journal_mode)
}
