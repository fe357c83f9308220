//! The schema, as a list of steps from an empty file to the present one.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::OpenError;

/// Marks our files (`PRAGMA application_id`): "mcpm".
const APPLICATION_ID: i32 = 0x6d63_706d;

/// Step n brings a file from version n to n + 1. Steps are never changed, only added.
const STEPS: &[&str] = &["
    CREATE TABLE memory (
        row        INTEGER PRIMARY KEY,
        id         TEXT    NOT NULL UNIQUE,
        owner      TEXT    NOT NULL,
        namespace  TEXT    NOT NULL,
        content    TEXT    NOT NULL,
        tags       TEXT    NOT NULL CHECK (json_valid(tags)),
        metadata   TEXT    NOT NULL CHECK (json_valid(metadata)),
        version    INTEGER NOT NULL CHECK (version > 0),
        created_at INTEGER NOT NULL, -- milliseconds since 1970
        updated_at INTEGER NOT NULL,
        expires_at INTEGER           -- null: never
    ) STRICT;
    CREATE INDEX memory_expiry ON memory (expires_at) WHERE expires_at IS NOT NULL;

    -- The words of every memory. The text itself is kept once, in the table above; the triggers
    -- keep both in step whoever writes.
    CREATE VIRTUAL TABLE memory_words USING fts5 (
        content, content = '', contentless_delete = 1,
        tokenize = 'porter unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER memory_words_insert AFTER INSERT ON memory BEGIN
        INSERT INTO memory_words (rowid, content) VALUES (new.row, new.content);
    END;
    CREATE TRIGGER memory_words_delete AFTER DELETE ON memory BEGIN
        DELETE FROM memory_words WHERE rowid = old.row;
    END;
    CREATE TRIGGER memory_words_update AFTER UPDATE OF content ON memory BEGIN
        UPDATE memory_words SET content = new.content WHERE rowid = new.row;
    END;
", "
    -- The words are kept in an index beside the database now.
    DROP TRIGGER memory_words_insert;
    DROP TRIGGER memory_words_delete;
    DROP TRIGGER memory_words_update;
    DROP TABLE memory_words;

    -- Which rows have changed, in order, for whoever derives something from them. Triggers write it,
    -- whoever writes the rows. Old entries are removed, the last one never. The stamp tells this
    -- history from another one of the same length.
    CREATE TABLE memory_change (
        sequence INTEGER PRIMARY KEY,
        row      INTEGER NOT NULL,
        stamp    INTEGER NOT NULL DEFAULT (random())
    ) STRICT;
    CREATE TRIGGER memory_change_insert AFTER INSERT ON memory BEGIN
        INSERT INTO memory_change (row) VALUES (new.row);
    END;
    CREATE TRIGGER memory_change_delete AFTER DELETE ON memory BEGIN
        INSERT INTO memory_change (row) VALUES (old.row);
    END;
    CREATE TRIGGER memory_change_update
        AFTER UPDATE OF owner, namespace, content, tags, expires_at ON memory BEGIN
        INSERT INTO memory_change (row) VALUES (new.row);
    END;
    -- Memories from before the log: it does not begin with 1, so it is not the whole story.
    INSERT INTO memory_change (sequence, row) SELECT 2, max(row) FROM memory HAVING count(*) > 0;
", "
    -- The log names the memory, too: a row that is gone no longer says which one it was. It tells of
    -- every column, since whole memories are derived from it now, not only the words of them.
    ALTER TABLE memory_change ADD COLUMN id TEXT;
    DROP TRIGGER memory_change_insert;
    DROP TRIGGER memory_change_delete;
    DROP TRIGGER memory_change_update;
    CREATE TRIGGER memory_change_insert AFTER INSERT ON memory BEGIN
        INSERT INTO memory_change (row, id) VALUES (new.row, new.id);
    END;
    CREATE TRIGGER memory_change_delete AFTER DELETE ON memory BEGIN
        INSERT INTO memory_change (row, id) VALUES (old.row, old.id);
    END;
    CREATE TRIGGER memory_change_update AFTER UPDATE ON memory BEGIN
        INSERT INTO memory_change (row, id) VALUES (new.row, new.id);
    END;
", "
    CREATE TABLE context (
        revision   INTEGER PRIMARY KEY AUTOINCREMENT, -- a new one with every put, never used again
        owner      TEXT    NOT NULL,
        id         TEXT    NOT NULL,
        class      TEXT    NOT NULL,
        content    TEXT    NOT NULL,
        is_json    INTEGER NOT NULL, -- 1: the content is a JSON object
        tags       TEXT    NOT NULL CHECK (json_valid(tags)),
        tokens     INTEGER NOT NULL,
        version    INTEGER NOT NULL CHECK (version > 0),
        created_at INTEGER NOT NULL, -- milliseconds since 1970
        updated_at INTEGER NOT NULL,
        expires_at INTEGER,          -- null: never
        reads      INTEGER NOT NULL, -- about how often it was read
        UNIQUE (owner, id)
    ) STRICT;
    CREATE INDEX context_newest ON context (owner, revision);
    CREATE INDEX context_newest_of_class ON context (owner, class, revision);
    CREATE INDEX context_popular ON context (reads);
    CREATE INDEX context_expiry ON context (expires_at) WHERE expires_at IS NOT NULL;
    -- The newest context that was removed because it had expired: who knows only of older ones does
    -- not know what else was put until then.
    CREATE TABLE context_swept (
        one      INTEGER PRIMARY KEY CHECK (one = 1),
        revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO context_swept (one, revision) VALUES (1, 0);
"];

/// Brings the file up to date. Two processes that start at once take turns.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::database(path, source);
    let tx = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = version(&tx, path)?;
    for step in STEPS.iter().skip(found as usize) {
        tx.execute_batch(step).map_err(failed)?;
    }
    if found < known() {
        tx.pragma_update(None, "application_id", APPLICATION_ID)
            .and_then(|()| tx.pragma_update(None, "user_version", known()))
            .map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Refuses a file that is not ours or too new for us, and changes nothing in it.
pub(super) fn recognize(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let tx = connection
        .unchecked_transaction()
        .map_err(|source| OpenError::database(path, source))?;
    version(&tx, path).map(|_| ())
}

/// The file's schema version; 0 for an empty file. In a transaction, so that the three readings
/// belong together.
fn version(tx: &Transaction<'_>, path: &Path) -> Result<u32, OpenError> {
    let failed = |source| OpenError::database(path, source);
    let pragma = |name| tx.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application_id = pragma("application_id").map_err(failed)?;
    let version = pragma("user_version").map_err(failed)?;
    let tables: u32 = tx
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;

    if application_id != APPLICATION_ID && tables > 0 {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
        });
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    if found > known() {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    Ok(found)
}

/// The newest version that this program knows.
fn known() -> u32 {
    u32::try_from(STEPS.len()).expect("fewer steps than u32 counts")
}
