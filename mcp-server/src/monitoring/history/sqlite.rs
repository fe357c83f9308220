//! The minutes in a file of their own beside the memories: `monitoring.db`. What is in it can be lost
//! without harm, so a commit does not wait for the disk.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Row, params};

use super::Rollup;
use crate::ports::RollupStore;

const FILE_NAME: &str = "monitoring.db";
/// How long another process may write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// A process has a row for each of its minutes: several may share the folder.
const SCHEMA: &str = "\
    CREATE TABLE IF NOT EXISTS minute (
        minute INTEGER NOT NULL,
        process TEXT NOT NULL,
        calls INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        mean_ms REAL NOT NULL,
        p50_ms REAL NOT NULL,
        p95_ms REAL NOT NULL,
        p99_ms REAL NOT NULL,
        resident_bytes INTEGER,
        open_files INTEGER,
        tasks INTEGER,
        sessions INTEGER NOT NULL,
        PRIMARY KEY (minute, process)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;";

/// The minutes of all processes of one data folder.
#[derive(Debug)]
pub struct SqliteRollups {
    connection: Mutex<Connection>,
    /// Tells this process from the others.
    process: String,
}

impl SqliteRollups {
    /// Opens or makes the file in `dir`. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub fn open(dir: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(dir.join(FILE_NAME))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
            process: uuid::Uuid::now_v7().to_string(),
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl RollupStore for SqliteRollups {
    fn put(&self, rollup: &Rollup) -> Result<(), String> {
        let put = "INSERT OR REPLACE INTO minute VALUES (?,?,?,?,?,?,?,?,?,?,?,?)";
        let values = params![
            rollup.minute,
            self.process,
            rollup.calls,
            rollup.errors,
            rollup.mean_ms,
            rollup.p50_ms,
            rollup.p95_ms,
            rollup.p99_ms,
            rollup.resident_bytes,
            rollup.open_files,
            rollup.tasks,
            rollup.sessions
        ];
        let put = self.connection().execute(put, values);
        put.map(drop).map_err(|error| error.to_string())
    }

    /// Of several processes a minute has the sum of their calls, the mean of their means, and the
    /// worst of the rest.
    fn since(&self, minute: i64) -> Result<Vec<Rollup>, String> {
        let select = "SELECT minute, sum(calls), sum(errors),
                coalesce(sum(mean_ms * calls) / nullif(sum(calls), 0), 0.0),
                max(p50_ms), max(p95_ms), max(p99_ms), max(resident_bytes), max(open_files),
                max(tasks), sum(sessions)
            FROM minute WHERE minute >= ? GROUP BY minute ORDER BY minute";
        let connection = self.connection();
        let read = || {
            let mut statement = connection.prepare_cached(select)?;
            let rows = statement.query_map([minute], rollup)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| error.to_string())
    }

    fn forget_before(&self, minute: i64) -> Result<(), String> {
        let forget = "DELETE FROM minute WHERE minute < ?";
        let forgotten = self.connection().execute(forget, [minute]);
        forgotten.map(drop).map_err(|error| error.to_string())
    }
}

fn rollup(row: &Row<'_>) -> rusqlite::Result<Rollup> {
    Ok(Rollup {
        minute: row.get(0)?,
        calls: row.get(1)?,
        errors: row.get(2)?,
        mean_ms: row.get(3)?,
        p50_ms: row.get(4)?,
        p95_ms: row.get(5)?,
        p99_ms: row.get(6)?,
        resident_bytes: row.get(7)?,
        open_files: row.get(8)?,
        tasks: row.get(9)?,
        sessions: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_kept_added_up_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let one = SqliteRollups::open(folder.path()).unwrap();
        let other = SqliteRollups::open(folder.path()).unwrap();
        let minute = |minute, calls, mean_ms| Rollup {
            minute,
            calls,
            mean_ms,
            p95_ms: mean_ms * 2.0,
            resident_bytes: Some(calls),
            ..Rollup::default()
        };
        one.put(&minute(1, 5, 1.0)).unwrap();
        one.put(&minute(2, 10, 1.0)).unwrap();
        other.put(&minute(2, 30, 3.0)).unwrap();
        one.put(&minute(3, 0, 0.0)).unwrap();
        let found = other.since(2).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|r| (r.minute, r.calls, r.mean_ms))
            .collect();
        assert_eq!(seen, [(2, 40, 2.5), (3, 0, 0.0)]);
        assert_eq!((found[0].p95_ms, found[0].resident_bytes), (6.0, Some(30)));
        one.forget_before(2).unwrap();
        assert_eq!(one.since(0).unwrap().len(), 2);
        // It is there after the end.
        drop((one, other));
        let again = SqliteRollups::open(folder.path()).unwrap();
        assert_eq!(again.since(0).unwrap().len(), 2);
    }
}
