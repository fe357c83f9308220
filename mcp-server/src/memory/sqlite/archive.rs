//! Whole memories in and out, for exports and imports.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{COLUMNS, memory, metadata_json, now_ms, tags_json, weight};
use crate::memory::{Cursor, Memory, MemoryError, Owner, Page, Restored, budget::Budget};

/// The memories after `after`, as many as `len_max` and the budget allow, but at least one.
pub(super) fn page(
    db: &Connection,
    owner: &Owner,
    namespace: Option<&str>,
    after: Option<Cursor>,
    len_max: usize,
    budget: &mut Budget,
) -> Result<Page, MemoryError> {
    let sql = format!(
        "SELECT {COLUMNS}, m.row FROM memory m
          WHERE m.row > :after AND m.owner = :owner
            AND (:namespace IS NULL OR m.namespace = :namespace)
            AND (m.expires_at IS NULL OR m.expires_at > :now)
          ORDER BY m.row LIMIT :len_max"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":after": after.map_or(i64::MIN, |Cursor(row)| row),
        ":owner": owner.as_str(),
        ":namespace": namespace,
        ":now": now_ms(),
        ":len_max": len_max,
    })?;
    let mut page = Page {
        memories: Vec::new(),
        next: None,
    };
    let mut last = None;
    while let Some(row) = rows.next()? {
        if budget.take(weight(row)?).is_err() && !page.memories.is_empty() {
            page.next = last;
            return Ok(page);
        }
        page.memories.push(memory(row)?);
        last = Some(Cursor(row.get(9)?));
    }
    if page.memories.len() == len_max {
        page.next = last;
    }
    Ok(page)
}

/// Everybody who owns a memory or a context.
pub(super) fn owners(db: &Connection) -> Result<Vec<Owner>, MemoryError> {
    let mut statement =
        db.prepare_cached("SELECT owner FROM memory UNION SELECT owner FROM context ORDER BY 1")?;
    let owners = statement.query_map([], |row| Ok(Owner::new(row.get_ref(0)?.as_str()?)))?;
    Ok(owners.collect::<rusqlite::Result<_>>()?)
}

/// Puts memories in as they are; a newer version of the same memory stays.
pub(super) fn restore(
    db: &Connection,
    owner: &Owner,
    memories: &[Memory],
) -> Result<Vec<Restored>, MemoryError> {
    let now = now_ms();
    memories
        .iter()
        .map(|memory| restore_one(db, owner, memory, now))
        .collect()
}

fn restore_one(
    db: &Connection,
    owner: &Owner,
    memory: &Memory,
    now_ms: i64,
) -> Result<Restored, MemoryError> {
    let expires_at = memory.expires_at.map(|at| at.as_millisecond());
    if expires_at.is_some_and(|at| at <= now_ms) {
        return Ok(Restored::Expired);
    }
    let found = db
        .prepare_cached(FIND)?
        .query_row(
            named_params! {
                ":id": memory.id.as_str(),
                ":namespace": memory.namespace,
                ":content": memory.content,
                ":tags": tags_json(&memory.tags),
                ":metadata": metadata_json(&memory.metadata),
            },
            |row| {
                Ok(Stored {
                    owner: row.get(0)?,
                    version: row.get(1)?,
                    updated_at_ms: row.get(2)?,
                    same: row.get(3)?,
                })
            },
        )
        .optional()?;
    let Some(stored) = found else {
        put(db, INSERT, owner, memory, memory.version)?;
        return Ok(Restored::Added);
    };
    if stored.owner != owner.as_str() {
        return Ok(Restored::Taken);
    }
    if !stored.gives_way_to(memory) {
        return Ok(Restored::Kept);
    }
    // Whoever read the old version must not be able to write over the new one with it.
    put(
        db,
        REPLACE,
        owner,
        memory,
        memory.version.max(stored.version + 1),
    )?;
    Ok(Restored::Replaced)
}

/// What is stored under the id of a memory that comes in.
struct Stored {
    owner: String,
    version: u64,
    updated_at_ms: i64,
    /// Whether it says the same.
    same: bool,
}

impl Stored {
    fn gives_way_to(&self, memory: &Memory) -> bool {
        let newer = memory.updated_at.as_millisecond() > self.updated_at_ms && !self.same;
        memory.version > self.version || (memory.version == self.version && newer)
    }
}

const FIND: &str = "SELECT owner, version, updated_at,
           namespace = :namespace AND content = :content AND tags = :tags AND metadata = :metadata
      FROM memory WHERE id = :id";

const INSERT: &str = "INSERT INTO memory
    (id, owner, namespace, content, tags, metadata, version, created_at, updated_at, expires_at)
    VALUES (:id, :owner, :namespace, :content, :tags, :metadata, :version, :created_at,
            :updated_at, :expires_at)";

const REPLACE: &str = "UPDATE memory SET namespace = :namespace, content = :content, tags = :tags,
           metadata = :metadata, version = :version, created_at = :created_at,
           updated_at = :updated_at, expires_at = :expires_at
     WHERE id = :id AND owner = :owner";

fn put(
    db: &Connection,
    sql: &str,
    owner: &Owner,
    memory: &Memory,
    version: u64,
) -> Result<(), MemoryError> {
    db.prepare_cached(sql)?.execute(named_params! {
        ":id": memory.id.as_str(),
        ":owner": owner.as_str(),
        ":namespace": memory.namespace,
        ":content": memory.content,
        ":tags": tags_json(&memory.tags),
        ":metadata": metadata_json(&memory.metadata),
        ":version": version,
        ":created_at": memory.created_at.as_millisecond(),
        ":updated_at": memory.updated_at.as_millisecond(),
        ":expires_at": memory.expires_at.map(|at| at.as_millisecond()),
    })?;
    Ok(())
}
