//! The log of changes as a feed: what every process that writes to the file has changed.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Row, named_params};
use tokio::time::Instant;

use super::{
    SqliteStore,
    index::last,
    rows::{COLUMNS, memory, weight},
};
use crate::{
    memory::{
        Changes, Mark, MemoryChange, MemoryError, MemoryId, Owner, RawChange, Version,
        search::Watermark,
    },
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

    async fn changes(
        &self,
        after: Option<Watermark>,
        len_max: usize,
    ) -> Result<Changes, MemoryError> {
        let deadline = Instant::now() + PATIENCE;
        self.feed
            .run(Some(deadline), move |db, _| {
                Ok(changes(db, after, len_max)?)
            })
            .await
    }

    async fn history(&self, len_max: usize) -> Result<Vec<Mark>, MemoryError> {
        let deadline = Instant::now() + PATIENCE;
        self.feed
            .run(Some(deadline), move |db, _| Ok(history(db, len_max)?))
            .await
    }
}

fn changes(db: &Connection, after: Option<Watermark>, len_max: usize) -> rusqlite::Result<Changes> {
    if let Some(after) = after
        && let Some(list) = list(db, after, len_max)?
    {
        let last = list.last().map(|change| Watermark {
            sequence: change.sequence,
            stamp: change.stamp,
        });
        return Ok(Changes {
            upto: last.unwrap_or(after),
            list: Some(list),
        });
    }
    Ok(Changes {
        upto: last(db)?,
        list: None,
    })
}

fn history(db: &Connection, len_max: usize) -> rusqlite::Result<Vec<Mark>> {
    let mut statement = db.prepare_cached(
        "SELECT sequence, stamp, id FROM memory_change ORDER BY sequence DESC LIMIT :len_max",
    )?;
    let mut rows = statement.query(named_params! {":len_max": len_max})?;
    let mut marks = Vec::new();
    while let Some(row) = rows.next()? {
        // Of what was changed before the log named memories, nobody knows.
        let Some(id) = row.get::<_, Option<String>>(2)? else {
            break;
        };
        marks.push(Mark {
            at: Watermark {
                sequence: row.get(0)?,
                stamp: row.get(1)?,
            },
            id: MemoryId::from(id),
        });
    }
    marks.reverse();
    Ok(marks)
}

/// All changes after `after`; `None` if they are too many, or not all there any more.
fn list(
    db: &Connection,
    after: Watermark,
    len_max: usize,
) -> rusqlite::Result<Option<Vec<MemoryChange>>> {
    let sql = format!(
        "SELECT {COLUMNS}, m.owner, c.sequence, c.row, c.id, c.stamp
           FROM memory_change c LEFT JOIN memory m ON m.row = c.row
          WHERE c.sequence >= :after ORDER BY c.sequence LIMIT :len_max"
    );
    let mut statement = db.prepare_cached(&sql)?;
    // From the last known one on, which is never removed while it is the last.
    let first = after.sequence;
    let mut rows = statement.query(named_params! {":after": first, ":len_max": len_max + 2})?;
    let mut list: Vec<RawChange> = Vec::new();
    let mut bytes = 0;
    let mut next = first;
    while let Some(row) = rows.next()? {
        let at = Watermark {
            sequence: row.get(10)?,
            stamp: row.get(13)?,
        };
        let sequence = at.sequence;
        if sequence != next && !(first == 0 && sequence == 1) {
            return Ok(None);
        }
        next = sequence + 1;
        if sequence == first {
            // The same number and another stamp: another history.
            if at != after {
                return Ok(None);
            }
            continue;
        }
        let Some(id) = row.get::<_, Option<String>>(12)? else {
            return Ok(None);
        };
        let now = changed(row, &mut bytes)?;
        list.push((at, row.get(11)?, MemoryId::from(id), now));
        if list.len() > len_max || bytes > BYTES_MAX {
            return Ok(None);
        }
    }
    // Not even the last known one: this is not the log that it was read from.
    if next == first && first != 0 {
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
