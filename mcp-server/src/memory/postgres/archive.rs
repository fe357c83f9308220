//! Whole memories in and out, for exports, imports and copies.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    fresh::HEAD,
    group::BEGIN,
    rows::{alive, columns, json, memory, weight},
    text::{loaded, stored},
};
use crate::{
    adapters::postgres::{DatabaseError, Sql, Step, values},
    call::{Call, Lane},
    memory::{Cursor, Memory, MemoryError, Owner, Page, Restored},
    ports::MemoryArchive,
};

/// The memories after $1, up to so many and so much text, but at least one.
const PAGE: Sql = Sql {
    name: "archive.page",
    text: concat!(
        "SELECT * FROM (SELECT ",
        columns!(),
        ", m.place, sum(",
        weight!(),
        ") OVER (ORDER BY m.place) AS bytes, row_number() OVER (ORDER BY m.place) AS n
            FROM (SELECT * FROM mcp_server.memory m
                   WHERE m.owner = $2 AND m.place > $1 AND ($3::text IS NULL OR m.namespace = $3)
                     AND ",
        alive!(),
        " ORDER BY m.place LIMIT $4) m
        ) page WHERE bytes <= $5 OR n = 1 ORDER BY n"
    ),
};
const MORE: Sql = Sql {
    name: "archive.more",
    text: concat!(
        "SELECT EXISTS (SELECT FROM mcp_server.memory m WHERE m.owner = $1 AND m.place > $2
                           AND ($3::text IS NULL OR m.namespace = $3) AND ",
        alive!(),
        ")"
    ),
};
const OWNERS: Sql = Sql {
    name: "archive.owners",
    text: "SELECT owner FROM mcp_server.memory UNION SELECT owner FROM mcp_server.context ORDER BY 1",
};

/// Puts a memory in as it is, unless the same or a newer version is there. Whoever read an old
/// version must not be able to write over the new one with it, so that one counts on.
const RESTORE: Sql = Sql {
    name: "archive.restore",
    text: "WITH old AS (
        SELECT m.place, m.owner = $2 AS own, m.version, m.updated_at,
               m.namespace = $3 AND m.content = $4 AND m.tags::text = $5
                   AND m.metadata::text = $6 AS same
          FROM mcp_server.memory m WHERE m.id = $1
    ), added AS (
        INSERT INTO mcp_server.memory (id, owner, namespace, content, tags, metadata, version,
                                       created_at, updated_at, expires_at)
        SELECT $1, $2, $3, $4, $5::text::json, $6::text::json, $7, $8, $9, $10
         WHERE NOT EXISTS (SELECT FROM old)
        RETURNING 1
    ), replaced AS (
        UPDATE mcp_server.memory m
           SET namespace = $3, content = $4, tags = $5::text::json, metadata = $6::text::json,
               version = greatest($7, old.version + 1), created_at = $8, updated_at = $9,
               expires_at = $10
          FROM old
         WHERE m.place = old.place AND old.own
           AND ($7 > old.version OR ($7 = old.version AND $9 > old.updated_at AND NOT old.same))
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM added), EXISTS (SELECT FROM replaced),
           EXISTS (SELECT FROM old WHERE NOT own)",
};

#[async_trait]
impl MemoryArchive for PostgresStore {
    async fn page(
        &self,
        owner: &Owner,
        namespace: Option<&str>,
        after: Option<Cursor>,
        len_max: usize,
    ) -> Result<Page, MemoryError> {
        let namespace = namespace.map(|name| stored(name).into_owned());
        let owner_name = stored(owner.as_str()).into_owned();
        let call = Call::new(owner.clone());
        let page = Step {
            sql: &PAGE,
            values: values![
                after.map_or(i64::MIN, |Cursor(place)| place),
                owner_name.clone(),
                namespace.clone(),
                i64::try_from(len_max).unwrap_or(i64::MAX),
                i64::try_from(self.answer_bytes_max).unwrap_or(i64::MAX),
            ],
        };
        let rows = self
            .read(&call, 0, vec![page])
            .await?
            .pop()
            .unwrap_or_default();
        let memories = rows.iter().map(memory).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = rows.last().map(|row| row.get::<_, i64>(9)) else {
            return Ok(Page {
                memories,
                next: None,
            });
        };
        let more = Step {
            sql: &MORE,
            values: values![owner_name, last, namespace],
        };
        let rows = self
            .read(&call, 0, vec![more])
            .await?
            .pop()
            .unwrap_or_default();
        let more = rows.first().is_some_and(|row| row.get(0));
        Ok(Page {
            memories,
            next: more.then_some(Cursor(last)),
        })
    }

    async fn restore(
        &self,
        owner: &Owner,
        memories: Vec<Memory>,
    ) -> Result<Vec<Restored>, MemoryError> {
        let now = Timestamp::now();
        let alive = |memory: &&Memory| memory.expires_at.is_none_or(|at| at > now);
        let mut steps: Vec<_> = memories
            .iter()
            .filter(alive)
            .map(|memory| restore(owner, memory))
            .collect::<Result<_, _>>()?;
        steps.push(Step {
            sql: &HEAD,
            values: Vec::new(),
        });
        let mut session = self.database.primary(Lane::Other, None).await?;
        let sent = session.transact(BEGIN, &steps).await;
        let mut rows = sent.map_err(DatabaseError::of_commit)?;
        if let Some(head) = rows.pop() {
            self.fresh.saw_own(&head);
        }
        let mut rows = rows.into_iter();
        let results = memories.iter().map(|memory| match alive(&memory) {
            true => restored(&rows.next().unwrap_or_default()),
            false => Restored::Expired,
        });
        Ok(results.collect())
    }

    async fn owners(&self) -> Result<Vec<Owner>, MemoryError> {
        let owners = Step {
            sql: &OWNERS,
            values: Vec::new(),
        };
        let rows = self.read(&Call::local(), 0, vec![owners]).await?.pop();
        let owners = rows.unwrap_or_default();
        Ok(owners
            .iter()
            .map(|row| Owner::new(&loaded(row.get(0))))
            .collect())
    }
}

fn restore(owner: &Owner, memory: &Memory) -> Result<Step, MemoryError> {
    let version = i64::try_from(memory.version);
    let version =
        version.map_err(|_| MemoryError::invalid("version", "is larger than any counter"))?;
    Ok(Step {
        sql: &RESTORE,
        values: values![
            stored(memory.id.as_str()).into_owned(),
            stored(owner.as_str()).into_owned(),
            stored(&memory.namespace).into_owned(),
            stored(&memory.content).into_owned(),
            json(&memory.tags),
            json(&memory.metadata),
            version,
            memory.created_at.as_millisecond(),
            memory.updated_at.as_millisecond(),
            memory.expires_at.map(|at| at.as_millisecond()),
        ],
    })
}

fn restored(rows: &[Row]) -> Restored {
    let is = |column| rows.first().is_some_and(|row| row.get(column));
    match (is(0), is(1), is(2)) {
        (true, ..) => Restored::Added,
        (_, true, _) => Restored::Replaced,
        (.., true) => Restored::Taken,
        _ => Restored::Kept,
    }
}
