//! The log of changes as a feed: what every process that writes to the database has changed.
//!
//! What there is to see is asked of the primary each time, which is one round trip that all readers
//! of a moment share: so no read through a cache misses what was acknowledged before it began,
//! whichever process wrote it. Notifications would save the round trip and could not promise that:
//! they come after the acknowledgement.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    rows::{columns, memory, weight},
    text::loaded,
};
use crate::{
    adapters::postgres::{Sql, Step, values},
    call::Lane,
    memory::{
        Changes, Mark, MemoryChange, MemoryError, MemoryId, Owner, RawChange, Version,
        search::Watermark,
    },
    ports::ChangeFeed,
};

/// How long a look at the changes may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long reading the history may take, which is megabytes and which no call waits for.
const HISTORY_PATIENCE: Duration = Duration::from_secs(10);
/// The most text that is read at once, in bytes: more than that is not told one by one.
const BYTES_MAX: i64 = 1024 * 1024;

/// The head of the log, and with it the changes after $1, at most $2; the memories only up to so
/// much text in all.
const FEED: Sql = Sql {
    name: "changes.feed",
    text: concat!(
        "SELECT ",
        columns!(),
        ", m.owner, h.sequence, c.sequence, c.place, c.id, c.bytes, c.stamp,
            (SELECT stamp FROM mcp_server.change WHERE sequence = $1)
            FROM mcp_server.head h
            LEFT JOIN (
                SELECT c.*, sum(",
        weight!(),
        ") OVER (ORDER BY c.sequence) AS bytes
                  FROM (SELECT * FROM mcp_server.change WHERE sequence > $1
                         ORDER BY sequence LIMIT $2) c
                  LEFT JOIN mcp_server.memory m USING (place)
            ) c ON true
            LEFT JOIN mcp_server.memory m ON m.place = c.place AND c.bytes <= $3
           ORDER BY c.sequence"
    ),
};
/// The last change. The log never loses that one.
const LAST: Sql = Sql {
    name: "changes.last",
    text: "SELECT sequence, stamp FROM mcp_server.change ORDER BY sequence DESC LIMIT 1",
};
const HISTORY: Sql = Sql {
    name: "changes.history",
    text: "SELECT sequence, stamp, id FROM mcp_server.change ORDER BY sequence DESC LIMIT $1",
};

#[async_trait]
impl ChangeFeed for PostgresStore {
    fn version(&self) -> Option<Version> {
        None
    }

    async fn changes(
        &self,
        after: Option<Watermark>,
        len_max: usize,
    ) -> Result<Changes, MemoryError> {
        let deadline = Instant::now() + PATIENCE;
        let mut session = self.database.primary(Lane::Other, Some(deadline)).await?;
        let mut list = None;
        if let Some(after) = after {
            let rows_max = i64::try_from(len_max).unwrap_or(i64::MAX - 1) + 1;
            let step = Step {
                sql: &FEED,
                values: values![after.sequence, rows_max, BYTES_MAX],
            };
            let rows = session.pipeline(&[step]).await?.pop().unwrap_or_default();
            list = read(&rows, after, len_max)?;
        }
        let changes = match (after, list) {
            (Some(after), Some(list)) => Changes {
                upto: list.last().map_or(after, |(at, ..)| *at),
                list: Some(MemoryChange::told_once(list)),
            },
            _ => Changes {
                upto: mark(session.query(&LAST, &[]).await?.first()),
                list: None,
            },
        };
        self.fresh.saw(changes.upto.sequence);
        Ok(changes)
    }

    async fn history(&self, len_max: usize) -> Result<Vec<Mark>, MemoryError> {
        let deadline = Instant::now() + HISTORY_PATIENCE;
        let mut session = self.database.primary(Lane::Other, Some(deadline)).await?;
        let len_max = i64::try_from(len_max).unwrap_or(i64::MAX);
        let rows = session.query(&HISTORY, &[&len_max]).await?;
        let marks = rows.iter().rev().map(|row| Mark {
            at: mark(Some(row)),
            id: MemoryId::from(loaded(row.get(2))),
        });
        Ok(marks.collect())
    }
}

/// Reads a row that begins with a change's number and stamp; none stands for the time before the
/// first change.
fn mark(row: Option<&Row>) -> Watermark {
    row.map_or_else(Watermark::default, |row| Watermark {
        sequence: row.get(0),
        stamp: row.get(1),
    })
}

/// The changes after `after`; `None` if they are not to be told one by one.
fn read(
    rows: &[Row],
    after: Watermark,
    len_max: usize,
) -> Result<Option<Vec<RawChange>>, MemoryError> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let head: i64 = first.get(10);
    // The same number and another stamp: what was read up to there is another history.
    let known: Option<i64> = first.get(16);
    if after.sequence > 0 && known != Some(after.stamp) {
        return Ok(None);
    }
    let mut next = after.sequence + 1;
    let mut list: Vec<RawChange> = Vec::new();
    for row in rows {
        let Some(sequence) = row.get::<_, Option<i64>>(11) else {
            break;
        };
        let bytes: Option<i64> = row.get(14);
        if sequence != next || list.len() == len_max || bytes.is_some_and(|len| len > BYTES_MAX) {
            return Ok(None);
        }
        next += 1;
        let at = Watermark {
            sequence,
            stamp: row.get(15),
        };
        let id = MemoryId::from(loaded(row.get(13)));
        let owner: Option<String> = row.get(9);
        let now =
            owner.map(|owner| Ok::<_, MemoryError>((Owner::new(&loaded(owner)), memory(row)?)));
        list.push((at, row.get(12), id, now.transpose()?));
    }
    // A log that ends before what was read from it is another one.
    Ok((next == head + 1).then_some(list))
}
