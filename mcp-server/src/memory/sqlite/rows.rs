//! The operations on single memories, as SQL.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde_json::{Map, Value};

use super::budget::Budget;
use crate::{
    memory::{
        Add, Added, Delete, Deleted, Get, Memory, MemoryError, MemoryId, Owner, Update, Updated,
    },
    written::Form,
};

/// Where a memory goes that names no namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// The columns that [`memory`] reads, in its order.
pub(super) const COLUMNS: &str = "m.id, m.namespace, m.content, m.tags, m.metadata, m.version, \
     m.created_at, m.updated_at, m.expires_at";

pub(super) fn add(db: &Connection, owner: &Owner, add: &Add) -> Result<Added, MemoryError> {
    let id = add.id.clone().unwrap_or_else(MemoryId::generate);
    let now = Timestamp::now().as_millisecond();
    let ttl_ms = add
        .ttl_seconds
        .map(|s| i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1_000));
    let rows = db
        .prepare_cached(
            "INSERT INTO memory (id, owner, namespace, content, tags, metadata, version,
                             created_at, updated_at, expires_at)
         VALUES (:id, :owner, :namespace, :content, :tags, :metadata, 1, :now, :now, :expires_at)
         ON CONFLICT (id) DO NOTHING",
        )?
        .execute(named_params! {
            ":id": id.as_str(),
            ":owner": owner.as_str(),
            ":namespace": add.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE),
            ":content": add.content,
            ":tags": tags_json(&add.tags),
            ":metadata": metadata_json(&add.metadata),
            ":now": now,
            ":expires_at": ttl_ms.map(|ttl| now.saturating_add(ttl)),
        })?;
    let created_at = match rows {
        0 => created_at(db, owner, &id)?,
        _ => now,
    };
    Ok(Added {
        id,
        version: 1,
        created_at: timestamp(created_at)?,
    })
}

/// When the memory was stored that is there already, by an earlier attempt at the same add.
fn created_at(db: &Connection, owner: &Owner, id: &MemoryId) -> Result<i64, MemoryError> {
    Ok(db
        .prepare_cached("SELECT created_at FROM memory WHERE id = :id AND owner = :owner")?
        .query_row(
            named_params! {":id": id.as_str(), ":owner": owner.as_str()},
            |row| row.get(0),
        )?)
}

pub(super) fn get(
    db: &Connection,
    owner: &Owner,
    get: &Get,
    budget: &mut Budget,
) -> Result<Memory, MemoryError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memory m WHERE m.id = :id AND m.owner = :owner
            AND (m.expires_at IS NULL OR m.expires_at > :now)"
    );
    db.prepare_cached(&sql)?
        .query_row(
            named_params! {":id": get.id.as_str(), ":owner": owner.as_str(), ":now": now_ms()},
            |row| Ok(budget.take(weight(row)?).map(|()| memory(row))),
        )
        .optional()?
        .ok_or_else(|| not_found(&get.id))
        .and_then(|within_budget| Ok(within_budget??))
}

pub(super) fn update(
    db: &Connection,
    owner: &Owner,
    update: &Update,
) -> Result<Updated, MemoryError> {
    let now = now_ms();
    let actual: u64 = db
        .prepare_cached(
            "SELECT version FROM memory WHERE id = :id AND owner = :owner
                AND (expires_at IS NULL OR expires_at > :now)",
        )?
        .query_row(
            named_params! {":id": update.id.as_str(), ":owner": owner.as_str(), ":now": now},
            |row| row.get(0),
        )
        .optional()?
        .ok_or_else(|| not_found(&update.id))?;
    if let Some(expected) = update.version.filter(|expected| *expected != actual) {
        return Err(MemoryError::VersionConflict {
            id: update.id.clone(),
            expected,
            actual,
        });
    }
    let version = actual + 1;
    db.prepare_cached(
        "UPDATE memory SET content = coalesce(:content, content), tags = coalesce(:tags, tags),
                metadata = coalesce(:metadata, metadata), version = :version, updated_at = :now
          WHERE id = :id",
    )?
    .execute(named_params! {
        ":content": update.content,
        ":tags": update.tags.as_deref().map(tags_json),
        ":metadata": update.metadata.as_ref().map(metadata_json),
        ":version": version,
        ":now": now,
        ":id": update.id.as_str(),
    })?;
    Ok(Updated {
        id: update.id.clone(),
        version,
        updated_at: timestamp(now)?,
    })
}

pub(super) fn delete(
    db: &Connection,
    owner: &Owner,
    delete: &Delete,
) -> Result<Deleted, MemoryError> {
    let rows = db
        .prepare_cached(
            "DELETE FROM memory WHERE id = :id AND owner = :owner
                AND (expires_at IS NULL OR expires_at > :now)",
        )?
        .execute(named_params! {
            ":id": delete.id.as_str(), ":owner": owner.as_str(), ":now": now_ms(),
        })?;
    match rows {
        0 => Err(not_found(&delete.id)),
        _ => Ok(Deleted {
            id: delete.id.clone(),
            deleted: true,
        }),
    }
}

/// Removes up to `rows_max` expired memories and says how many.
pub(super) fn sweep_expired(db: &Connection, rows_max: usize) -> Result<usize, MemoryError> {
    Ok(db
        .prepare_cached(
            "DELETE FROM memory WHERE row IN
                (SELECT row FROM memory WHERE expires_at <= :now LIMIT :rows_max)",
        )?
        .execute(named_params! {":now": now_ms(), ":rows_max": rows_max})?)
}

/// How much stored text a row of [`COLUMNS`] brings into an answer, in bytes.
pub(super) fn weight(row: &Row<'_>) -> rusqlite::Result<usize> {
    [2, 3, 4].into_iter().try_fold(0, |sum, column| {
        Ok(sum + row.get_ref(column)?.as_str()?.len())
    })
}

/// Reads a row of [`COLUMNS`].
pub(super) fn memory(row: &Row<'_>) -> rusqlite::Result<Memory> {
    let json = |index, text: String| Column { index, text };
    Ok(Memory {
        id: MemoryId::from(row.get::<_, String>(0)?),
        namespace: row.get(1)?,
        content: row.get(2)?,
        tags: json(3, row.get(3)?).parse()?,
        metadata: json(4, row.get(4)?).parse()?,
        version: row.get(5)?,
        created_at: column_time(6, row.get(6)?)?,
        updated_at: column_time(7, row.get(7)?)?,
        expires_at: row
            .get::<_, Option<i64>>(8)?
            .map(|ms| column_time(8, ms))
            .transpose()?,
        form: Form::default(),
    })
}

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A JSON text and the column it came from.
struct Column {
    index: usize,
    text: String,
}

impl Column {
    fn parse<T: serde::de::DeserializeOwned>(&self) -> rusqlite::Result<T> {
        serde_json::from_str(&self.text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                self.index,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })
    }
}

pub(super) fn column_time(index: usize, ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            index,
            rusqlite::types::Type::Integer,
            Box::new(error),
        )
    })
}

fn timestamp(ms: i64) -> Result<Timestamp, MemoryError> {
    Timestamp::from_millisecond(ms).map_err(|error| MemoryError::Internal {
        reason: error.to_string(),
    })
}

fn not_found(id: &MemoryId) -> MemoryError {
    MemoryError::NotFound { id: id.clone() }
}

pub(super) fn tags_json(tags: &[String]) -> String {
    serde_json::to_string(tags).expect("strings are always JSON")
}

pub(super) fn metadata_json(metadata: &Map<String, Value>) -> String {
    serde_json::to_string(metadata).expect("a JSON object is always JSON")
}
