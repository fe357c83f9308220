//! A look at a database that changes nothing, whether a server works with it or not.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{error::OpenError, open::FILE_NAME, schema};

/// The largest file whose pages are all read.
const CHECKED_BYTES_MAX: u64 = 2 << 30;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// Memories of all owners.
    pub memories: u64,
    /// Contexts of all owners.
    pub contexts: u64,
    /// What SQLite finds wrong with the file; `None`: nothing, or it is too large to be read.
    pub damage: Option<String>,
    /// Whether all of it was read.
    pub is_checked: bool,
}

/// Looks at the database in `dir`; `None` where there is none. Blocks, for seconds where the file has
/// gigabytes.
///
/// # Errors
///
/// [`OpenError`]: it cannot be read, is another program's, or of a newer version of this one.
pub fn inspect(dir: &Path) -> Result<Option<Inspection>, OpenError> {
    let path = dir.join(FILE_NAME);
    let Ok(metadata) = std::fs::metadata(&path) else {
        return Ok(None);
    };
    let failed = |source| OpenError::database(&path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    schema::recognize(&connection, &path)?;
    // A table of a later version of the schema than the file's is not there yet.
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .unwrap_or(0)
    };
    let is_checked = metadata.len() <= CHECKED_BYTES_MAX;
    let damage = match is_checked {
        true => {
            let says: String = connection
                .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
                .map_err(failed)?;
            (says != "ok").then_some(says)
        }
        false => None,
    };
    Ok(Some(Inspection {
        bytes: metadata.len(),
        memories: count("memory"),
        contexts: count("context"),
        damage,
        is_checked,
    }))
}
