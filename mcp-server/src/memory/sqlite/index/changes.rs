//! The log of changes, as SQL. Triggers write it; see the schema.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::memory::search::{Change, ChangeLog, Document, IndexError, Watermark};

/// The most entries that one call of [`trim`] removes, so that writes never wait long behind it.
const TRIM_LEN_MAX: i64 = 10_000;

/// The log, read by the connection of the indexer.
pub(in super::super) struct Log(pub(in super::super) Connection);

impl ChangeLog for Log {
    fn head(&self) -> Result<i64, IndexError> {
        head(&self.0).map_err(unreadable)
    }

    fn first(&self) -> Result<i64, IndexError> {
        first(&self.0).map_err(unreadable)
    }

    fn watermark(&self, sequence: i64) -> Result<Option<Watermark>, IndexError> {
        watermark(&self.0, sequence).map_err(unreadable)
    }

    fn after(&self, sequence: i64, len_max: u32) -> Result<Vec<(i64, Change)>, IndexError> {
        let mut changes = Vec::new();
        let keep = |at, change| changes.push((at, change));
        after(&self.0, sequence, len_max.into(), keep).map_err(unreadable)?;
        Ok(changes)
    }

    fn scan(&self, row: i64, len_max: u32) -> Result<Vec<Change>, IndexError> {
        scan(&self.0, row, len_max).map_err(unreadable)
    }

    fn rows(&self) -> Result<u64, IndexError> {
        let count = "SELECT count(*) FROM memory";
        self.0
            .query_row(count, [], |row| row.get(0))
            .map_err(unreadable)
    }
}

/// The index cannot go on without its store.
fn unreadable(error: rusqlite::Error) -> IndexError {
    IndexError::Io(std::io::Error::other(error))
}

/// The last change; 0 before the first.
pub(super) fn head(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(sequence), 0) FROM memory_change")?
        .query_row([], |row| row.get(0))
}

/// The last change, by which the log is known again.
pub(in super::super) fn last(db: &Connection) -> rusqlite::Result<Watermark> {
    let last = db
        .prepare_cached("SELECT sequence, stamp FROM memory_change ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Watermark {
                sequence: row.get(0)?,
                stamp: row.get(1)?,
            })
        })
        .optional()?;
    Ok(last.unwrap_or_default())
}

/// The earliest change that the log still holds; one after the head when it is empty.
pub(super) fn first(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(min(sequence), 1) FROM memory_change")?
        .query_row([], |row| row.get(0))
}

/// The watermark of whoever has read up to `sequence`; `None` when the log does not hold it.
fn watermark(db: &Connection, sequence: i64) -> rusqlite::Result<Option<Watermark>> {
    if sequence == 0 {
        return Ok(Some(Watermark::default()));
    }
    db.prepare_cached("SELECT stamp FROM memory_change WHERE sequence = :sequence")?
        .query_row(named_params! {":sequence": sequence}, |row| {
            let stamp = row.get(0)?;
            Ok(Watermark { sequence, stamp })
        })
        .optional()
}

/// Hands the changes after `sequence` and their numbers to `sink`, in order, at most `len_max` of
/// them; returns the last number. A row comes in its present state, however often it has changed.
pub(super) fn after(
    db: &Connection,
    sequence: i64,
    len_max: i64,
    mut sink: impl FnMut(i64, Change),
) -> rusqlite::Result<i64> {
    let mut statement = db.prepare_cached(
        "SELECT c.row, m.owner, m.namespace, m.content, m.tags, m.expires_at, c.sequence
           FROM memory_change c LEFT JOIN memory m ON m.row = c.row
          WHERE c.sequence > :sequence ORDER BY c.sequence LIMIT :len_max",
    )?;
    let mut rows = statement.query(named_params! {":sequence": sequence, ":len_max": len_max})?;
    let mut last = sequence;
    while let Some(row) = rows.next()? {
        last = row.get(6)?;
        sink(last, change(row)?);
    }
    Ok(last)
}

/// The rows after `row`, at most `len_max` of them.
fn scan(db: &Connection, row: i64, len_max: u32) -> rusqlite::Result<Vec<Change>> {
    let mut statement = db.prepare_cached(
        "SELECT row, owner, namespace, content, tags, expires_at
           FROM memory WHERE row > :row ORDER BY row LIMIT :len_max",
    )?;
    let rows = statement.query_map(named_params! {":row": row, ":len_max": len_max}, change)?;
    rows.collect()
}

/// Removes changes up to `sequence`, and says whether there are more to remove.
pub(in super::super) fn trim(db: &Connection, sequence: i64) -> rusqlite::Result<bool> {
    let upto = sequence.min(first(db)?.saturating_add(TRIM_LEN_MAX));
    // The last entry stays whatever is asked: the next one counts on from it.
    db.prepare_cached(
        "DELETE FROM memory_change
          WHERE sequence <= :upto AND sequence < (SELECT max(sequence) FROM memory_change)",
    )?
    .execute(named_params! {":upto": upto})?;
    Ok(upto < sequence)
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let Some(owner) = row.get(1)? else {
        let row = row.get(0)?;
        let document = None;
        return Ok(Change { row, document });
    };
    let tags: String = row.get(4)?;
    Ok(Change {
        row: row.get(0)?,
        document: Some(Document {
            owner,
            namespace: row.get(2)?,
            content: row.get(3)?,
            // The column is checked to be JSON; what is no list of strings cannot be asked for.
            tags: serde_json::from_str(&tags).unwrap_or_default(),
            expires_at: row.get(5)?,
        }),
    })
}
