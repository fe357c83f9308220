//! Whole contexts in and out, for copies.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    super::{PostgresStore, group::BEGIN, text::stored},
    alive, columns, kept,
};
use crate::{
    adapters::postgres::{DatabaseError, Sql, Step, values},
    call::{Call, Lane},
    context::{Content, Context, ContextError, Kept},
    memory::{MemoryError, Owner, Restored},
    ports::ContextArchive,
};

const PAGE: Sql = Sql {
    name: "archive.contexts",
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM mcp_server.context c WHERE c.owner = $1 AND c.revision > $2 AND ",
        alive!(),
        " ORDER BY c.revision LIMIT $3"
    ),
};

/// Puts a context in as it is, unless the same or a newer version is there.
const RESTORE: Sql = Sql {
    name: "archive.restore_context",
    text: concat!(
        "WITH old AS (
            SELECT c.version, c.updated_at, c.reads FROM mcp_server.context c
             WHERE c.owner = $1 AND c.id = $2 AND ",
        alive!(),
        "), next AS (
            UPDATE mcp_server.head h SET revision = h.revision + 1
             WHERE NOT EXISTS (SELECT FROM old WHERE old.version > $8
                                  OR (old.version = $8 AND old.updated_at >= $10))
            RETURNING h.revision
        ), done AS (
            INSERT INTO mcp_server.context (owner, id, revision, class, content, is_json, tags,
                    tokens, version, created_at, updated_at, expires_at, reads)
            SELECT $1, $2, next.revision, $3, $4, $5, $6, $7,
                   greatest($8, coalesce((SELECT version FROM old), 0) + 1), $9, $10, $11,
                   coalesce((SELECT reads FROM old), 0)
              FROM next
            ON CONFLICT (owner, id) DO UPDATE SET
                   revision = excluded.revision, class = excluded.class,
                   content = excluded.content, is_json = excluded.is_json, tags = excluded.tags,
                   tokens = excluded.tokens, version = excluded.version,
                   created_at = excluded.created_at, updated_at = excluded.updated_at,
                   expires_at = excluded.expires_at, reads = excluded.reads
            RETURNING 1
        )
        SELECT EXISTS (SELECT FROM done), EXISTS (SELECT FROM old)"
    ),
};

#[async_trait]
impl ContextArchive for PostgresStore {
    async fn context_page(
        &self,
        owner: &Owner,
        after: u64,
        len_max: usize,
    ) -> Result<Vec<Kept>, ContextError> {
        let page = Step {
            sql: &PAGE,
            values: values![
                stored(owner.as_str()).into_owned(),
                i64::try_from(after).unwrap_or(i64::MAX),
                i64::try_from(len_max).unwrap_or(i64::MAX),
            ],
        };
        let call = Call::new(owner.clone());
        let rows = self
            .read(&call, 0, vec![page])
            .await?
            .pop()
            .unwrap_or_default();
        Ok(rows.iter().map(kept).collect::<Result<_, MemoryError>>()?)
    }

    async fn restore_contexts(
        &self,
        owner: &Owner,
        contexts: Vec<Context>,
    ) -> Result<Vec<Restored>, ContextError> {
        let steps: Vec<_> = contexts
            .iter()
            .map(|context| restore(owner, context))
            .collect();
        let mut session = self.database.primary(Lane::Other, None).await?;
        let sent = session.transact(BEGIN, &steps).await;
        let rows = sent.map_err(|error| ContextError::Store(DatabaseError::of_commit(error)))?;
        Ok(rows.iter().map(|rows| restored(rows)).collect())
    }
}

fn restore(owner: &Owner, context: &Context) -> Step {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let tags: Vec<_> = context
        .tags
        .iter()
        .map(|tag| stored(tag).into_owned())
        .collect();
    Step {
        sql: &RESTORE,
        values: values![
            stored(owner.as_str()).into_owned(),
            stored(context.id.as_str()).into_owned(),
            context.class.as_str(),
            stored(&context.content.as_text()).into_owned(),
            matches!(context.content, Content::Object(_)),
            tags,
            number(context.tokens),
            number(context.version),
            context.created_at.as_millisecond(),
            context.updated_at.as_millisecond(),
            context.expires_at.map(|at| at.as_millisecond()),
        ],
    }
}

fn restored(rows: &[Row]) -> Restored {
    let is = |column| rows.first().is_some_and(|row| row.get(column));
    match (is(0), is(1)) {
        (true, false) => Restored::Added,
        (true, true) => Restored::Replaced,
        (false, _) => Restored::Kept,
    }
}
