//! Full-text search: the index says which rows match best, the database what is in them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    executor::Stop,
    index,
    rows::{COLUMNS, memory, now_ms, weight},
};
use crate::memory::{
    Found, Hit, MemoryError, Owner, Search,
    budget::Budget,
    search::{LiveIndex, Match, Query},
};

/// `stop` says that nobody waits for the answer any more.
pub(super) fn search(
    db: &Connection,
    live: &LiveIndex,
    owner: &Owner,
    search: &Search,
    budget: &mut Budget,
    stop: Stop<'_>,
) -> Result<Found, MemoryError> {
    let now = now_ms();
    let Some(query) = Query::new(owner, search, now) else {
        return Ok(Found::default());
    };
    // What a transaction has not committed yet is nothing that an answer could rest on later.
    let committed = db.is_autocommit();
    index::search(live, db, &query, stop, |snapshot, basis| {
        // A search that was stopped ends with what it has, which is not the answer.
        if stop() {
            return Err(MemoryError::Timeout);
        }
        let (mut found, missing) = read(snapshot, owner, search, now, &basis.matches, budget)?;
        found.basis = committed.then(|| Arc::new(basis));
        match missing {
            // Layers and snapshot are of one moment: only a damaged index names such a row.
            Some(row) => Err(live.unusable(&format!("row {row} does not match"))),
            None => Ok(found),
        }
    })
}

/// Reads the matches, each with its owner and namespace, whatever the index says. Also returns a
/// row that is not there.
fn read(
    db: &Connection,
    owner: &Owner,
    search: &Search,
    now: i64,
    matches: &[Match],
    budget: &mut Budget,
) -> Result<(Found, Option<i64>), MemoryError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memory m
          WHERE m.row = :row AND m.owner = :owner
            AND (:namespace IS NULL OR m.namespace = :namespace)
            AND (m.expires_at IS NULL OR m.expires_at > :now)"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut found = Found::default();
    for Match { score, row } in matches {
        let parameters = named_params! {
            ":row": row,
            ":owner": owner.as_str(),
            ":namespace": search.namespace,
            ":now": now,
        };
        let hit = statement
            .query_row(parameters, |row| match budget.take(weight(row)?) {
                Ok(()) => Ok(Some(memory(row)?)),
                Err(_) => Ok(None),
            })
            .optional()?;
        match hit {
            Some(Some(memory)) => found.memories.push(Hit {
                memory: Arc::new(memory),
                score: f64::from(*score),
            }),
            Some(None) => {
                found.truncated = true;
                break;
            }
            None => return Ok((found, Some(*row))),
        }
    }
    Ok((found, None))
}
