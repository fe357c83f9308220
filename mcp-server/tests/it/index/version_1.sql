-- A database as the first version of the schema left it, with three memories.
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
INSERT INTO memory (id, owner, namespace, content, tags, metadata, version, created_at, updated_at)
VALUES ('a', 'local', 'default', 'kept number0', '[]', '{}', 1, 0, 0),
       ('b', 'local', 'default', 'kept number1', '["red"]', '{}', 1, 0, 0),
       ('c', 'local', 'work', 'kept number2', '[]', '{}', 1, 0, 0);
PRAGMA application_id = 0x6d63706d;
PRAGMA user_version = 1;
