//! Contexts in the same database as the memories, in tables of their own.

mod archive;
mod changes;
mod list;

use std::hash::{DefaultHasher, Hasher};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

pub(super) use self::changes::sweep_expired;
use super::{
    SqliteStore,
    rows::{column_time, now_ms, tags_json},
};
use crate::{
    call::{Call, Lane},
    context::{
        Content, Context, ContextChanges, ContextClass, ContextError, ContextId, ContextKey, Get,
        Kept, List, Listed, Put,
    },
    memory::{MemoryError, Owner},
    ports::ContextStore,
};

/// The columns that [`kept`] reads, in its order.
const COLUMNS: &str = "revision, id, class, content, is_json, tags, tokens, version, created_at, \
     updated_at, expires_at";

#[async_trait]
impl ContextStore for SqliteStore {
    async fn put(&self, call: &Call, new: Put) -> Result<Kept, ContextError> {
        let owner = call.owner.clone();
        self.write(0, call.deadline, move |tx| apart(put(tx, &owner, new)))
            .await?
    }

    async fn get(&self, call: &Call, wanted: Get) -> Result<Kept, ContextError> {
        let owner = call.owner.clone();
        self.read(call, move |db, _| apart(get(db, &owner, wanted.id)))
            .await?
    }

    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError> {
        let owner = call.owner.clone();
        self.read(call, move |db, stop| {
            apart(list::list(db, &owner, &list, stop))
        })
        .await?
    }

    fn mark(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.wal.version()?.0);
        Some(hasher.finish())
    }

    async fn changes_after(&self, revision: u64) -> Result<ContextChanges, ContextError> {
        Ok(self
            .readers
            .run(Lane::Other, None, move |db, _| {
                changes::changes_after(db, revision)
            })
            .await?)
    }

    async fn hottest(&self, recent: u32, popular: u32) -> Result<Vec<ContextKey>, ContextError> {
        Ok(self
            .readers
            .run(Lane::Other, None, move |db, _| {
                changes::hottest(db, recent, popular)
            })
            .await?)
    }

    async fn count_reads(&self, reads: Vec<(ContextKey, u64)>) -> Result<(), ContextError> {
        Ok(self
            .write(0, None, move |tx| changes::count_reads(tx, &reads))
            .await?)
    }
}

/// What the caller got wrong, apart from what the database got wrong.
fn apart<T>(result: Result<T, ContextError>) -> Result<Result<T, ContextError>, MemoryError> {
    match result {
        Err(ContextError::Store(error)) => Err(error),
        other => Ok(other),
    }
}

impl From<rusqlite::Error> for ContextError {
    fn from(error: rusqlite::Error) -> Self {
        MemoryError::from(error).into()
    }
}

fn put(db: &Connection, owner: &Owner, put: Put) -> Result<Kept, ContextError> {
    let now = now_ms();
    let id = put.id.unwrap_or_else(ContextId::generate);
    let key = named_params! {":owner": owner.as_str(), ":id": id.as_str()};
    let old = db
        .prepare_cached(
            "SELECT version, created_at, reads, expires_at FROM context
              WHERE owner = :owner AND id = :id",
        )?
        .query_row(key, Old::read)
        .optional()?
        .filter(|old| old.expires_at.is_none_or(|at| at > now));
    let actual = old.as_ref().map_or(0, |old| old.version);
    if let Some(expected) = put.version.filter(|expected| *expected != actual) {
        return Err(ContextError::VersionConflict {
            id,
            expected,
            actual,
        });
    }
    // A row of its own for each put: its number tells everybody that there is something new.
    db.prepare_cached("DELETE FROM context WHERE owner = :owner AND id = :id")?
        .execute(key)?;
    let ttl_ms = put
        .ttl_seconds
        .map(|s| i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1_000));
    let expires_at = ttl_ms.map(|ttl| now.saturating_add(ttl));
    let created_at = old.as_ref().map_or(now, |old| old.created_at);
    let tokens = put.content.tokens();
    db.prepare_cached(
        "INSERT INTO context (owner, id, class, content, is_json, tags, tokens, version,
                              created_at, updated_at, expires_at, reads)
         VALUES (:owner, :id, :class, :content, :is_json, :tags, :tokens, :version,
                 :created_at, :now, :expires_at, :reads)",
    )?
    .execute(named_params! {
        ":owner": owner.as_str(),
        ":id": id.as_str(),
        ":class": put.class.as_str(),
        ":content": put.content.as_text(),
        ":is_json": matches!(put.content, Content::Object(_)),
        ":tags": tags_json(&put.tags),
        ":tokens": tokens,
        ":version": actual + 1,
        ":created_at": created_at,
        ":now": now,
        ":expires_at": expires_at,
        ":reads": old.map_or(0, |old| old.reads),
    })?;
    Ok(Kept {
        context: Context {
            id,
            class: put.class,
            content: put.content,
            tags: put.tags,
            tokens,
            version: actual + 1,
            created_at: time(created_at)?,
            updated_at: time(now)?,
            expires_at: expires_at.map(time).transpose()?,
        },
        revision: u64::try_from(db.last_insert_rowid()).unwrap_or_default(),
    })
}

/// What a put replaces.
struct Old {
    version: u64,
    created_at: i64,
    reads: u64,
    expires_at: Option<i64>,
}

impl Old {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            version: row.get(0)?,
            created_at: row.get(1)?,
            reads: row.get(2)?,
            expires_at: row.get(3)?,
        })
    }
}

fn get(db: &Connection, owner: &Owner, id: ContextId) -> Result<Kept, ContextError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM context WHERE owner = :owner AND id = :id
            AND (expires_at IS NULL OR expires_at > :now)"
    );
    db.prepare_cached(&sql)?
        .query_row(
            named_params! {":owner": owner.as_str(), ":id": id.as_str(), ":now": now_ms()},
            kept,
        )
        .optional()?
        .ok_or(ContextError::NotFound { id })
}

/// Reads a row of [`COLUMNS`].
fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let class: String = row.get(2)?;
    let text: String = row.get(3)?;
    let content = match row.get(4)? {
        true => Content::Object(json(3, &text)?),
        false => Content::Text(text),
    };
    Ok(Kept {
        revision: row.get(0)?,
        context: Context {
            id: ContextId::from(row.get::<_, String>(1)?),
            class: ContextClass::parse(&class).unwrap_or_default(),
            content,
            tags: json(5, row.get_ref(5)?.as_str()?)?,
            tokens: row.get(6)?,
            version: row.get(7)?,
            created_at: column_time(8, row.get(8)?)?,
            updated_at: column_time(9, row.get(9)?)?,
            expires_at: row
                .get::<_, Option<i64>>(10)?
                .map(|ms| column_time(10, ms))
                .transpose()?,
        },
    })
}

fn json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn time(ms: i64) -> Result<Timestamp, ContextError> {
    Timestamp::from_millisecond(ms).map_err(|error| {
        ContextError::Store(MemoryError::Internal {
            reason: error.to_string(),
        })
    })
}
