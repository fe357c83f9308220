//! What is new, what is read often, and what has expired.

use std::collections::HashSet;

use rusqlite::{Connection, Row, named_params};

use super::now_ms;
use crate::{
    context::{ContextChanges, ContextId, ContextKey},
    memory::{MemoryError, Owner},
};

/// The most changes that are told one by one.
const CHANGES_MAX: usize = 1_000;

pub(super) fn changes_after(db: &Connection, revision: u64) -> Result<ContextChanges, MemoryError> {
    let snapshot = db.unchecked_transaction()?;
    let newest: Option<u64> = snapshot
        .prepare_cached("SELECT max(seq) FROM sqlite_sequence WHERE name = 'context'")?
        .query_row([], |row| row.get(0))?;
    let newest = newest.unwrap_or_default();
    let mut changes = ContextChanges {
        complete: true,
        revision: newest,
        ..ContextChanges::default()
    };
    if newest == revision {
        return Ok(changes);
    }
    // What was put and swept meanwhile has left no other trace.
    let swept: u64 = snapshot
        .prepare_cached("SELECT revision FROM context_swept")?
        .query_row([], |row| row.get(0))?;
    let mut statement = snapshot.prepare_cached(
        "SELECT owner, id, revision FROM context WHERE revision > ?1 ORDER BY revision LIMIT ?2",
    )?;
    let puts = statement.query_map((revision, CHANGES_MAX + 1), |row| {
        Ok((key(row)?, row.get(2)?))
    })?;
    changes.puts = puts.collect::<rusqlite::Result<_>>()?;
    changes.complete = swept <= revision && changes.puts.len() <= CHANGES_MAX;
    Ok(changes)
}

pub(super) fn hottest(
    db: &Connection,
    recent: u32,
    popular: u32,
) -> Result<Vec<ContextKey>, MemoryError> {
    let snapshot = db.unchecked_transaction()?;
    let now = now_ms();
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    for (order, len_max) in [("revision", recent), ("reads", popular)] {
        // The order is one of the words above, not what anybody sent.
        let sql = format!(
            "SELECT owner, id FROM context
              WHERE reads >= (:order = 'reads') AND (expires_at IS NULL OR expires_at > :now)
              ORDER BY {order} DESC LIMIT :len_max"
        );
        let mut statement = snapshot.prepare_cached(&sql)?;
        let parameters = named_params! {":order": order, ":now": now, ":len_max": len_max};
        for key in statement.query_map(parameters, key)? {
            let key = key?;
            if seen.insert(key.clone()) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

pub(super) fn count_reads(db: &Connection, reads: &[(ContextKey, u64)]) -> Result<(), MemoryError> {
    let mut statement = db.prepare_cached(
        "UPDATE context SET reads = reads + :reads WHERE owner = :owner AND id = :id",
    )?;
    for (ContextKey { owner, id }, reads) in reads {
        statement.execute(named_params! {
            ":owner": owner.as_str(), ":id": id.as_str(), ":reads": reads,
        })?;
    }
    Ok(())
}

/// Removes up to `rows_max` expired contexts and says how many.
pub(in super::super) fn sweep_expired(
    db: &Connection,
    rows_max: usize,
) -> Result<usize, MemoryError> {
    let mut statement = db.prepare_cached(
        "DELETE FROM context WHERE revision IN
            (SELECT revision FROM context WHERE expires_at <= :now LIMIT :rows_max)
         RETURNING revision",
    )?;
    let swept = statement
        .query_map(
            named_params! {":now": now_ms(), ":rows_max": rows_max},
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<Vec<u64>>>()?;
    if let Some(newest) = swept.iter().max() {
        db.prepare_cached("UPDATE context_swept SET revision = max(revision, ?1)")?
            .execute([newest])?;
    }
    Ok(swept.len())
}

fn key(row: &Row<'_>) -> rusqlite::Result<ContextKey> {
    Ok(ContextKey {
        owner: Owner::new(row.get_ref(0)?.as_str()?),
        id: ContextId::from(row.get::<_, String>(1)?),
    })
}
