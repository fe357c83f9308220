//! The log of changes as a feed: what every process that writes to the file has changed.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Row, named_params};
use tokio::time::Instant;

use super::{
    SqliteStore,
    index::head,
    rows::{COLUMNS, memory, weight},
};
use crate::{
    memory::{Changes, MemoryChange, MemoryError, MemoryId, Owner, RawChange, Version},
    ports::ChangeFeed,
};

/// How long a look at the changes may take.
const PATIENCE: Duration = Duration::from_millis(50);
/// The most text that is read at once, in bytes: more than that is not told one by one.
const BYTES_MAX: usize = 1024 * 1024;

#[async_trait]
impl ChangeFeed for SqliteStore {
    fn version(&self) -> Option<Version> {
        self.wal.version()
    }

    async fn changes(&self, after: Option<i64>, len_max: usize) -> Result<Changes, MemoryError> {
        let deadline = Instant::now() + PATIENCE;
        self.feed
            .run(Some(deadline), move |db, _| {
                Ok(changes(db, after, len_max)?)
            })
            .await
    }
}

fn changes(db: &Connection, after: Option<i64>, len_max: usize) -> rusqlite::Result<Changes> {
    if let Some(after) = after
        && let Some(list) = list(db, after, len_max)?
    {
        return Ok(Changes {
            upto: list.last().map_or(after, |change| change.sequence),
            list: Some(list),
        });
    }
    Ok(Changes {
        upto: head(db)?,
        list: None,
    })
}

/// All changes after `after`; `None` if they are too many, or not all there any more.
fn list(
    db: &Connection,
    after: i64,
    len_max: usize,
) -> rusqlite::Result<Option<Vec<MemoryChange>>> {
    let sql = format!(
        "SELECT {COLUMNS}, m.owner, c.sequence, c.row, c.id
           FROM memory_change c LEFT JOIN memory m ON m.row = c.row
          WHERE c.sequence >= :after ORDER BY c.sequence LIMIT :len_max"
    );
    let mut statement = db.prepare_cached(&sql)?;
    // From the last known one on, which is never removed while it is the last.
    let mut rows = statement.query(named_params! {":after": after, ":len_max": len_max + 2})?;
    let mut list: Vec<RawChange> = Vec::new();
    let mut bytes = 0;
    let mut next = after;
    while let Some(row) = rows.next()? {
        let sequence: i64 = row.get(10)?;
        if sequence != next && !(after == 0 && sequence == 1) {
            return Ok(None);
        }
        next = sequence + 1;
        if sequence == after {
            continue;
        }
        let Some(id) = row.get::<_, Option<String>>(12)? else {
            return Ok(None);
        };
        let now = changed(row, &mut bytes)?;
        list.push((sequence, row.get(11)?, MemoryId::from(id), now));
        if list.len() > len_max || bytes > BYTES_MAX {
            return Ok(None);
        }
    }
    // Not even the last known one: this is not the log that it was read from.
    if next == after && after != 0 {
        return Ok(None);
    }
    Ok(Some(MemoryChange::told_once(list)))
}

fn changed(
    row: &Row<'_>,
    bytes: &mut usize,
) -> rusqlite::Result<Option<(Owner, crate::memory::Memory)>> {
    let Some(owner) = row.get::<_, Option<String>>(9)? else {
        return Ok(None);
    };
    *bytes += weight(row)?;
    Ok(Some((Owner::new(&owner), memory(row)?)))
}
