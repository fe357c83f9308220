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
    fresh::HEAD,
    rows::{columns, memory, weight},
    text::loaded,
};
use crate::{
    adapters::postgres::{Sql, Step, values},
    call::Lane,
    memory::{Changes, MemoryChange, MemoryError, MemoryId, Owner, RawChange, Version},
    ports::ChangeFeed,
};

/// How long a look at the changes may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most text that is read at once, in bytes: more than that is not told one by one.
const BYTES_MAX: i64 = 1024 * 1024;

/// The head of the log, and with it the changes after $1, at most $2; the memories only up to so
/// much text in all.
const FEED: Sql = Sql {
    name: "changes.feed",
    text: concat!(
        "SELECT ",
        columns!(),
        ", m.owner, h.sequence, c.sequence, c.place, c.id, c.bytes
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

#[async_trait]
impl ChangeFeed for PostgresStore {
    fn version(&self) -> Option<Version> {
        None
    }

    async fn changes(&self, after: Option<i64>, len_max: usize) -> Result<Changes, MemoryError> {
        let deadline = Instant::now() + PATIENCE;
        let step = match after {
            None => Step {
                sql: &HEAD,
                values: Vec::new(),
            },
            Some(after) => {
                let len_max = i64::try_from(len_max).unwrap_or(i64::MAX - 1) + 1;
                Step {
                    sql: &FEED,
                    values: values![after, len_max, BYTES_MAX],
                }
            }
        };
        let mut session = self.database.primary(Lane::Other, Some(deadline)).await?;
        let rows = session.pipeline(&[step]).await?.pop().unwrap_or_default();
        let changes = match after {
            None => Changes {
                upto: rows.first().map_or(0, |row| row.get(0)),
                list: None,
            },
            Some(after) => read(&rows, after, len_max)?,
        };
        self.fresh.saw(changes.upto);
        Ok(changes)
    }
}

fn read(rows: &[Row], after: i64, len_max: usize) -> Result<Changes, MemoryError> {
    let head = rows.first().map_or(0, |row| row.get(10));
    let all = Changes {
        upto: head,
        list: None,
    };
    let mut next = after + 1;
    let mut list: Vec<RawChange> = Vec::new();
    for row in rows {
        let Some(sequence) = row.get::<_, Option<i64>>(11) else {
            break;
        };
        let bytes: Option<i64> = row.get(14);
        if sequence != next || list.len() == len_max || bytes.is_some_and(|len| len > BYTES_MAX) {
            return Ok(all);
        }
        next += 1;
        let id = MemoryId::from(loaded(row.get(13)));
        let owner: Option<String> = row.get(9);
        let now =
            owner.map(|owner| Ok::<_, MemoryError>((Owner::new(&loaded(owner)), memory(row)?)));
        list.push((sequence, row.get(12), id, now.transpose()?));
    }
    // A log that ends before what was read from it is another one.
    if next <= head || head < after {
        return Ok(all);
    }
    Ok(Changes {
        upto: head,
        list: Some(MemoryChange::told_once(list)),
    })
}
