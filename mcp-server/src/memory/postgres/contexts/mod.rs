//! Contexts in the same database as the memories, in a table of their own.

mod archive;
mod changes;
mod list;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    group::BEGIN,
    rows::{parsed, time},
    text::{loaded, stored},
};
use crate::{
    adapters::postgres::{DatabaseError, Sql, Step, values},
    call::Call,
    context::{
        Content, Context, ContextChanges, ContextClass, ContextError, ContextId, ContextKey, Get,
        Kept, List, Listed, Put,
    },
    memory::MemoryError,
    ports::ContextStore,
};

/// The columns that [`kept`] reads, in its order, of a `context c`.
macro_rules! columns {
    () => {
        "c.revision, c.id, c.class, c.content, c.is_json, c.tags, c.tokens, c.version, \
         c.created_at, c.updated_at, c.expires_at"
    };
}
use columns;

/// Whether a `context c` has not expired.
macro_rules! alive {
    () => {
        "(c.expires_at IS NULL OR c.expires_at > mcp_server.now_ms())"
    };
}
use alive;

/// A new revision with every put: its number tells everybody that there is something new.
const PUT: Sql = Sql {
    name: "context.put",
    text: concat!(
        "WITH old AS (
            SELECT c.version, c.created_at, c.reads FROM mcp_server.context c
             WHERE c.owner = $1 AND c.id = $2 AND ",
        alive!(),
        "), actual AS (SELECT coalesce((SELECT version FROM old), 0) AS version),
        next AS (
            UPDATE mcp_server.head h SET revision = h.revision + 1 FROM actual
             WHERE $9::bigint IS NULL OR actual.version = $9 RETURNING h.revision
        ), c AS (
            INSERT INTO mcp_server.context AS c (owner, id, revision, class, content, is_json, tags,
                    tokens, version, created_at, updated_at, expires_at, reads)
            SELECT $1, $2, next.revision, $3, $4, $5, $6, $7, actual.version + 1,
                   coalesce((SELECT created_at FROM old), mcp_server.now_ms()),
                   mcp_server.now_ms(), mcp_server.now_ms() + $8::bigint,
                   coalesce((SELECT reads FROM old), 0)
              FROM next, actual
            ON CONFLICT (owner, id) DO UPDATE SET
                   revision = excluded.revision, class = excluded.class,
                   content = excluded.content, is_json = excluded.is_json, tags = excluded.tags,
                   tokens = excluded.tokens, version = excluded.version,
                   created_at = excluded.created_at, updated_at = excluded.updated_at,
                   expires_at = excluded.expires_at, reads = excluded.reads
            RETURNING *
        )
        SELECT ",
        columns!(),
        ", actual.version FROM actual LEFT JOIN c ON true"
    ),
};

const GET: Sql = Sql {
    name: "context.get",
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_server.context c WHERE c.owner = $1 AND c.id = $2 AND ",
        alive!()
    ),
};

#[async_trait]
impl ContextStore for PostgresStore {
    async fn put(&self, call: &Call, put: Put) -> Result<Kept, ContextError> {
        let id = put.id.clone().unwrap_or_else(ContextId::generate);
        let steps = [put_step(call, &id, &put)];
        let mut session = self.database.primary(call.lane, call.deadline).await;
        let session = session.as_mut().map_err(|error| unavailable(error))?;
        let sent = session.transact(BEGIN, &steps).await;
        let rows = sent.map_err(|error| ContextError::Store(error.of_commit()))?;
        self.sweep_if_due();
        let row = rows.first().and_then(|rows| rows.first());
        let row = row.ok_or_else(|| unavailable(&"nothing came of it"))?;
        if row.get::<_, Option<i64>>(0).is_none() {
            return Err(ContextError::VersionConflict {
                id,
                expected: put.version.unwrap_or_default(),
                actual: row.get::<_, i64>(11).unsigned_abs(),
            });
        }
        self.fresh.saw_revision(row.get(0));
        Ok(kept(row)?)
    }

    async fn get(&self, call: &Call, get: Get) -> Result<Kept, ContextError> {
        let step = Step {
            sql: &GET,
            values: values![
                stored(call.owner.as_str()).into_owned(),
                stored(get.id.as_str()).into_owned(),
            ],
        };
        let rows = self
            .read(call, 0, vec![step])
            .await?
            .pop()
            .unwrap_or_default();
        match rows.first() {
            Some(row) => Ok(kept(row)?),
            None => Err(ContextError::NotFound { id: get.id }),
        }
    }

    async fn list(&self, call: &Call, list: List) -> Result<Listed, ContextError> {
        self.list_contexts(call, list).await
    }

    fn mark(&self) -> Option<u64> {
        None
    }

    async fn changes_after(&self, revision: u64) -> Result<ContextChanges, ContextError> {
        Ok(self.context_changes(revision).await?)
    }

    async fn hottest(&self, recent: u32, popular: u32) -> Result<Vec<ContextKey>, ContextError> {
        Ok(self.hottest_contexts(recent, popular).await?)
    }

    async fn count_reads(&self, reads: Vec<(ContextKey, u64)>) -> Result<(), ContextError> {
        Ok(self.count_context_reads(&reads).await?)
    }
}

fn put_step(call: &Call, id: &ContextId, put: &Put) -> Step {
    let tags: Vec<_> = put
        .tags
        .iter()
        .map(|tag| stored(tag).into_owned())
        .collect();
    let tokens = put.content.tokens();
    let ttl_ms = |seconds: u64| {
        i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000)
    };
    Step {
        sql: &PUT,
        values: values![
            stored(call.owner.as_str()).into_owned(),
            stored(id.as_str()).into_owned(),
            put.class.as_str(),
            stored(&put.content.as_text()).into_owned(),
            matches!(put.content, Content::Object(_)),
            tags,
            i64::try_from(tokens).unwrap_or(i64::MAX),
            put.ttl_seconds
                .map(|seconds| ttl_ms(seconds).min(i64::MAX / 4)),
            // No context has a version that the column cannot hold.
            put.version
                .map(|version| i64::try_from(version).unwrap_or(-1)),
        ],
    }
}

/// Reads a row that begins with the [`columns`].
fn kept(row: &Row) -> Result<Kept, MemoryError> {
    let text = loaded(row.get(3));
    let content = match row.get(4) {
        true => Content::Object(parsed(&text)?),
        false => Content::Text(text),
    };
    let tags: Vec<String> = row.get(5);
    Ok(Kept {
        revision: row.get::<_, i64>(0).unsigned_abs(),
        context: Context {
            id: ContextId::from(loaded(row.get(1))),
            class: ContextClass::parse(row.get(2)).unwrap_or_default(),
            content,
            tags: tags.into_iter().map(loaded).collect(),
            tokens: row.get::<_, i64>(6).unsigned_abs(),
            version: row.get::<_, i64>(7).unsigned_abs(),
            created_at: time(row.get(8))?,
            updated_at: time(row.get(9))?,
            expires_at: row.get::<_, Option<i64>>(10).map(time).transpose()?,
        },
    })
}

fn unavailable(error: &dyn std::fmt::Display) -> ContextError {
    ContextError::Store(MemoryError::Unavailable {
        reason: error.to_string(),
    })
}

impl From<DatabaseError> for ContextError {
    fn from(error: DatabaseError) -> Self {
        Self::Store(error.into())
    }
}
