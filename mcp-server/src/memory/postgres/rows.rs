//! The operations on single memories, as SQL.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::text::{loaded, stored};
use crate::{
    adapters::postgres::{Sql, Step, values},
    memory::{
        Add, Added, DEFAULT_NAMESPACE, Delete, Deleted, Get, Memory, MemoryError, MemoryId, Owner,
        Update, Updated, budget::Budget,
    },
    written::Form,
};

/// The columns that [`memory`] reads, in its order, of a `memory m`.
macro_rules! columns {
    () => {
        "m.id, m.namespace, m.content, m.tags::text, m.metadata::text, m.version, m.created_at, \
         m.updated_at, m.expires_at"
    };
}
pub(super) use columns;

/// Whether a `memory m` has not expired.
macro_rules! alive {
    () => {
        "(m.expires_at IS NULL OR m.expires_at > mcp_server.now_ms())"
    };
}
pub(super) use alive;

/// How much stored text a `memory m` brings into an answer, in bytes.
macro_rules! weight {
    () => {
        "octet_length(m.content) + octet_length(m.tags::text) + octet_length(m.metadata::text)"
    };
}
pub(super) use weight;

/// Adds as many memories as the arrays are long. What is there already, by an earlier attempt at the
/// same add, is named as it is.
const ADD: Sql = Sql {
    name: "memory.add",
    text: "WITH wanted AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                             $7::bigint[])
            WITH ORDINALITY AS w(id, owner, namespace, content, tags, metadata, ttl_ms, n)
    ), added AS (
        INSERT INTO mcp_server.memory (id, owner, namespace, content, tags, metadata, version,
                                       created_at, updated_at, expires_at)
        SELECT id, owner, namespace, content, tags::json, metadata::json, 1, mcp_server.now_ms(),
               mcp_server.now_ms(), mcp_server.now_ms() + ttl_ms
          FROM wanted ORDER BY n
        ON CONFLICT (id) DO NOTHING
        RETURNING id, created_at
    )
    SELECT id, created_at FROM added
    UNION ALL
    SELECT m.id, m.created_at FROM mcp_server.memory m JOIN wanted w USING (id, owner)",
};

const GET: Sql = Sql {
    name: "memory.get",
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_server.memory m WHERE m.id = $1 AND m.owner = $2 AND ",
        alive!()
    ),
};

const UPDATE: Sql = Sql {
    name: "memory.update",
    text: concat!(
        "WITH old AS (
            SELECT m.place, m.version FROM mcp_server.memory m
             WHERE m.id = $1 AND m.owner = $2 AND ",
        alive!(),
        "), new AS (
            UPDATE mcp_server.memory m
               SET content = coalesce($3, m.content), tags = coalesce($4::text::json, m.tags),
                   metadata = coalesce($5::text::json, m.metadata), version = m.version + 1,
                   updated_at = greatest(mcp_server.now_ms(), m.updated_at)
              FROM old WHERE m.place = old.place AND ($6::bigint IS NULL OR m.version = $6)
         RETURNING m.version, m.updated_at
        )
        SELECT old.version, new.version, new.updated_at FROM old LEFT JOIN new ON true"
    ),
};

const DELETE: Sql = Sql {
    name: "memory.delete",
    text: concat!(
        "DELETE FROM mcp_server.memory m WHERE m.id = $1 AND m.owner = $2 AND ",
        alive!(),
        " RETURNING m.place"
    ),
};

/// Adds in the order given; each has its id.
pub(super) fn add(adds: &[(&Owner, &MemoryId, &Add)]) -> Step {
    let texts = |text: &dyn Fn(&(&Owner, &MemoryId, &Add)) -> String| -> Vec<String> {
        adds.iter().map(text).collect()
    };
    let namespace =
        |add: &Add| stored(add.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)).into();
    let ttl_ms = |seconds: u64| {
        i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000)
    };
    // As far in the future as is ever asked for, and short of where a sum would not fit.
    let ttl_ms = |seconds| ttl_ms(seconds).min(i64::MAX / 4);
    Step {
        sql: &ADD,
        values: values![
            texts(&|(_, id, _)| stored(id.as_str()).into()),
            texts(&|(owner, ..)| stored(owner.as_str()).into()),
            texts(&|(.., add)| namespace(add)),
            texts(&|(.., add)| stored(&add.content).into()),
            texts(&|(.., add)| json(&add.tags)),
            texts(&|(.., add)| json(&add.metadata)),
            adds.iter()
                .map(|(.., add)| add.ttl_seconds.map(ttl_ms))
                .collect::<Vec<_>>(),
        ],
    }
}

/// What came of the add of `id` among the rows of an [`add`].
pub(super) fn added(rows: &[Row], id: &MemoryId) -> Result<Added, MemoryError> {
    let kept = stored(id.as_str());
    let row = rows.iter().find(|row| row.get::<_, &str>(0) == kept);
    // Somebody else's attempt with this id was committed in this very moment, or is of another owner.
    let row = row.ok_or_else(|| MemoryError::Unavailable {
        reason: "its id was taken just now".to_owned(),
    })?;
    Ok(Added {
        id: id.clone(),
        version: 1,
        created_at: time(row.get(1))?,
    })
}

pub(super) fn get(owner: &Owner, get: &Get) -> Step {
    Step {
        sql: &GET,
        values: values![
            stored(get.id.as_str()).into_owned(),
            stored(owner.as_str()).into_owned()
        ],
    }
}

/// What a [`get`] has found.
pub(super) fn got(
    rows: &[Row],
    get: &Get,
    budget: &mut Budget,
) -> Result<Arc<Memory>, MemoryError> {
    let row = rows.first().ok_or_else(|| not_found(&get.id))?;
    let bytes: usize = (2..5).map(|column| row.get::<_, &str>(column).len()).sum();
    budget.take(bytes)?;
    memory(row).map(Arc::new)
}

pub(super) fn update(owner: &Owner, update: &Update) -> Step {
    // No memory has a version that the column cannot hold.
    let version = update
        .version
        .map(|version| i64::try_from(version).unwrap_or(-1));
    Step {
        sql: &UPDATE,
        values: values![
            stored(update.id.as_str()).into_owned(),
            stored(owner.as_str()).into_owned(),
            update
                .content
                .as_deref()
                .map(|content| stored(content).into_owned()),
            update.tags.as_ref().map(json),
            update.metadata.as_ref().map(json),
            version,
        ],
    }
}

/// What came of an [`update`].
pub(super) fn updated(rows: &[Row], update: &Update) -> Result<Updated, MemoryError> {
    let row = rows.first().ok_or_else(|| not_found(&update.id))?;
    let Some(version) = row.get::<_, Option<i64>>(1) else {
        return Err(MemoryError::VersionConflict {
            id: update.id.clone(),
            expected: update.version.unwrap_or_default(),
            actual: row.get::<_, i64>(0).unsigned_abs(),
        });
    };
    Ok(Updated {
        id: update.id.clone(),
        version: version.unsigned_abs(),
        updated_at: time(row.get(2))?,
    })
}

pub(super) fn delete(owner: &Owner, delete: &Delete) -> Step {
    Step {
        sql: &DELETE,
        values: values![
            stored(delete.id.as_str()).into_owned(),
            stored(owner.as_str()).into_owned(),
        ],
    }
}

/// What came of a [`delete`].
pub(super) fn deleted(rows: &[Row], delete: &Delete) -> Result<Deleted, MemoryError> {
    match rows.is_empty() {
        true => Err(not_found(&delete.id)),
        false => Ok(Deleted {
            id: delete.id.clone(),
            deleted: true,
        }),
    }
}

/// Reads a row that begins with the [`columns`].
pub(super) fn memory(row: &Row) -> Result<Memory, MemoryError> {
    Ok(Memory {
        id: MemoryId::from(loaded(row.get(0))),
        namespace: loaded(row.get(1)),
        content: loaded(row.get(2)),
        tags: parsed(row.get(3))?,
        metadata: parsed(row.get(4))?,
        version: row.get::<_, i64>(5).unsigned_abs(),
        created_at: time(row.get(6))?,
        updated_at: time(row.get(7))?,
        expires_at: row.get::<_, Option<i64>>(8).map(time).transpose()?,
        form: Form::default(),
    })
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings, lists and objects are always JSON")
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, MemoryError> {
    serde_json::from_str(text).map_err(|error| MemoryError::Internal {
        reason: error.to_string(),
    })
}

pub(super) fn time(ms: i64) -> Result<Timestamp, MemoryError> {
    Timestamp::from_millisecond(ms).map_err(|error| MemoryError::Internal {
        reason: error.to_string(),
    })
}

fn not_found(id: &MemoryId) -> MemoryError {
    MemoryError::NotFound { id: id.clone() }
}
