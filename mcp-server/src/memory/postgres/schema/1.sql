CREATE SCHEMA mcp_server;
COMMENT ON SCHEMA mcp_server IS 'made and kept up to date by mcp-server';

CREATE TABLE mcp_server.schema_version (version integer PRIMARY KEY);

-- Milliseconds since 1970 by the clock of the database: processes on several machines share it.
CREATE FUNCTION mcp_server.now_ms() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint $$;

-- How far the log of changes goes, the newest context, and the newest context that was removed
-- because it had expired. Whoever writes holds this row until the commit, so the numbers become
-- visible in their order and without a gap.
CREATE TABLE mcp_server.head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint  NOT NULL DEFAULT 0,
    revision bigint  NOT NULL DEFAULT 0,
    swept    bigint  NOT NULL DEFAULT 0,
    identity uuid    NOT NULL DEFAULT gen_random_uuid() -- tells this database from others
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO mcp_server.head DEFAULT VALUES;
ANALYZE mcp_server.head;

CREATE TABLE mcp_server.memory (
    place      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text   COLLATE "C" NOT NULL UNIQUE,
    owner      text   COLLATE "C" NOT NULL,
    namespace  text   COLLATE "C" NOT NULL,
    content    text   NOT NULL,
    tags       json   NOT NULL,
    metadata   json   NOT NULL,
    version    bigint NOT NULL CHECK (version > 0),
    created_at bigint NOT NULL, -- milliseconds since 1970
    updated_at bigint NOT NULL,
    expires_at bigint           -- null: never
);
CREATE INDEX memory_owner ON mcp_server.memory (owner, place);
CREATE INDEX memory_expiry ON mcp_server.memory (expires_at) WHERE expires_at IS NOT NULL;

-- Which rows have changed, in order, for whoever derives something from them. Triggers write it,
-- whoever writes the rows. Old entries are removed, the last one never. The stamp tells this history
-- from another one of the same length.
CREATE TABLE mcp_server.change (
    sequence bigint PRIMARY KEY,
    place    bigint NOT NULL,
    id       text   COLLATE "C" NOT NULL,
    stamp    bigint NOT NULL
);
CREATE FUNCTION mcp_server.log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    len  bigint;
    last bigint;
BEGIN
    SELECT count(*) INTO len FROM changed;
    IF len > 0 THEN
        UPDATE mcp_server.head SET sequence = sequence + len RETURNING sequence INTO last;
        INSERT INTO mcp_server.change (sequence, place, id, stamp)
            SELECT last - len + row_number() OVER (ORDER BY place), place, id,
                   (random() * 9e18)::bigint
              FROM changed;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER change_insert AFTER INSERT ON mcp_server.memory
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mcp_server.log_changes();
CREATE TRIGGER change_update AFTER UPDATE ON mcp_server.memory
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mcp_server.log_changes();
CREATE TRIGGER change_delete AFTER DELETE ON mcp_server.memory
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION mcp_server.log_changes();

CREATE TABLE mcp_server.context (
    owner      text    COLLATE "C" NOT NULL,
    id         text    COLLATE "C" NOT NULL,
    revision   bigint  NOT NULL UNIQUE, -- a new one with every put, never used again
    class      text    COLLATE "C" NOT NULL,
    content    text    NOT NULL,
    is_json    boolean NOT NULL,
    tags       text[]  COLLATE "C" NOT NULL,
    tokens     bigint  NOT NULL,
    version    bigint  NOT NULL CHECK (version > 0),
    created_at bigint  NOT NULL, -- milliseconds since 1970
    updated_at bigint  NOT NULL,
    expires_at bigint,           -- null: never
    reads      bigint  NOT NULL, -- about how often it was read
    PRIMARY KEY (owner, id)
);
CREATE INDEX context_newest ON mcp_server.context (owner, revision);
CREATE INDEX context_newest_of_class ON mcp_server.context (owner, class, revision);
CREATE INDEX context_popular ON mcp_server.context (reads);
CREATE INDEX context_expiry ON mcp_server.context (expires_at) WHERE expires_at IS NOT NULL;
