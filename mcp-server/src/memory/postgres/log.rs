//! The log of changes, as SQL, and as the thread of the indexer reads it. Triggers write it; see the
//! schema.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};
use tokio_postgres::Row;

use super::{rows::parsed, text::loaded};
use crate::{
    adapters::postgres::{Database, DatabaseError, Sql, Step, Value, values},
    call::Lane,
    memory::search::{Change, ChangeLog, Document, IndexError, Watermark},
};

/// How long the indexer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks meanwhile whether the store is closing.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The head of the log, and with it the changes after $1, at most $2; one row without a change where
/// there is none.
pub(super) const CHANGES: Sql = Sql {
    name: "changes.index",
    text: "SELECT h.sequence, c.sequence, c.place, m.owner, m.namespace, m.content, m.tags::text,
                  m.expires_at
             FROM mcp_server.head h
             LEFT JOIN (mcp_server.change c LEFT JOIN mcp_server.memory m USING (place))
                    ON c.sequence > $1
            ORDER BY c.sequence LIMIT $2",
};
const SCAN: Sql = Sql {
    name: "changes.scan",
    text: "SELECT NULL::bigint, NULL::bigint, m.place, m.owner, m.namespace, m.content,
                  m.tags::text, m.expires_at
             FROM mcp_server.memory m WHERE m.place > $1 ORDER BY m.place LIMIT $2",
};
const FIRST: Sql = Sql {
    name: "changes.first",
    text: "SELECT coalesce(min(sequence), 1) FROM mcp_server.change",
};
const STAMP: Sql = Sql {
    name: "changes.stamp",
    text: "SELECT stamp FROM mcp_server.change WHERE sequence = $1",
};
const COUNT: Sql = Sql {
    name: "changes.count",
    text: "SELECT count(*) FROM mcp_server.memory",
};
/// Removes entries up to $1, at most $2 of them; those that another process is at are left to it. The
/// last entry stays whatever is asked.
pub(super) const TRIM: Sql = Sql {
    name: "changes.trim",
    text: "WITH old AS (
        SELECT sequence FROM mcp_server.change
         WHERE sequence <= $1 AND sequence < (SELECT sequence FROM mcp_server.head)
         ORDER BY sequence LIMIT $2 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM mcp_server.change c USING old WHERE c.sequence = old.sequence RETURNING 1
    ) SELECT count(*) FROM gone",
};

/// The step that asks for the [`CHANGES`] after `sequence`.
pub(super) fn changes_after(sequence: i64, len_max: u32) -> Step {
    Step {
        sql: &CHANGES,
        values: values![sequence, i64::from(len_max)],
    }
}

/// Reads the rows of [`CHANGES`]: the head of the log and the changes.
pub(super) fn read_changes(rows: &[Row]) -> Result<(i64, Vec<(i64, Change)>), IndexError> {
    let head = rows.first().map_or(0, |row| row.get(0));
    let changes = rows.iter().filter_map(|row| {
        let sequence: i64 = row.get::<_, Option<i64>>(1)?;
        Some(change(row).map(|change| (sequence, change)))
    });
    Ok((head, changes.collect::<Result<_, _>>()?))
}

fn change(row: &Row) -> Result<Change, IndexError> {
    let place = row.get(2);
    let Some(owner) = row.get::<_, Option<String>>(3) else {
        return Ok(Change {
            row: place,
            document: None,
        });
    };
    Ok(Change {
        row: place,
        document: Some(Document {
            owner: loaded(owner),
            namespace: loaded(row.get(4)),
            content: loaded(row.get(5)),
            // What is no list of strings cannot be asked for.
            tags: parsed(row.get(6)).unwrap_or_default(),
            expires_at: row.get(7),
        }),
    })
}

/// The log of the primary, for a thread that may wait: the statements run on the runtime.
pub(super) struct Log {
    pub(super) database: Database,
    pub(super) runtime: Handle,
    /// Whether to wait no more.
    pub(super) closing: Arc<AtomicBool>,
}

impl Log {
    fn ask(&self, sql: &'static Sql, values: Vec<Value>) -> Result<Vec<Row>, IndexError> {
        let (answer, answers) = mpsc::sync_channel(1);
        let database = self.database.clone();
        let deadline = Instant::now() + PATIENCE;
        let asking = self.runtime.spawn(async move {
            let asked = async {
                let mut session = database.primary(Lane::Other, Some(deadline)).await?;
                let mut rows = session.pipeline(&[Step { sql, values }]).await?;
                Ok::<_, DatabaseError>(rows.pop().unwrap_or_default())
            };
            // Nobody listens any more when the store is closing.
            let _ = answer.send(asked.await);
        });
        let began = Instant::now();
        loop {
            match answers.recv_timeout(LOOK_EVERY) {
                Ok(rows) => return rows.map_err(unreadable),
                Err(mpsc::RecvTimeoutError::Timeout)
                    if began.elapsed() < PATIENCE && !self.closing.load(Ordering::Relaxed) => {}
                Err(_) => {
                    asking.abort();
                    return Err(unreadable("nothing was heard of it"));
                }
            }
        }
    }

    fn one(&self, sql: &'static Sql) -> Result<i64, IndexError> {
        let rows = self.ask(sql, Vec::new())?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }
}

impl ChangeLog for Log {
    fn head(&self) -> Result<i64, IndexError> {
        self.one(&super::fresh::HEAD)
    }

    fn first(&self) -> Result<i64, IndexError> {
        self.one(&FIRST)
    }

    fn watermark(&self, sequence: i64) -> Result<Option<Watermark>, IndexError> {
        if sequence == 0 {
            return Ok(Some(Watermark::default()));
        }
        let rows = self.ask(&STAMP, values![sequence])?;
        Ok(rows.first().map(|row| Watermark {
            sequence,
            stamp: row.get(0),
        }))
    }

    fn after(&self, sequence: i64, len_max: u32) -> Result<Vec<(i64, Change)>, IndexError> {
        let rows = self.ask(&CHANGES, values![sequence, i64::from(len_max)])?;
        Ok(read_changes(&rows)?.1)
    }

    fn scan(&self, row: i64, len_max: u32) -> Result<Vec<Change>, IndexError> {
        let rows = self.ask(&SCAN, values![row, i64::from(len_max)])?;
        rows.iter().map(change).collect()
    }

    fn rows(&self) -> Result<u64, IndexError> {
        self.one(&COUNT).map(i64::unsigned_abs)
    }
}

/// The index cannot go on without its store.
fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> IndexError {
    IndexError::Io(io::Error::other(error))
}
