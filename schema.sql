-- netbird-auth's database, version 1: the first file to read.
--
-- The server holds all of it in memory for reading and writes through one connection. Times are
-- microseconds since 1970-01-01 UTC. Row numbers are never used twice (AUTOINCREMENT): memory and
-- the audit trail name rows by them. Later versions are migration steps in src/store/migrate.rs;
-- this file stays version 1.

PRAGMA application_id = 0x6e626175;   -- "nbau": tells this file from another program's
PRAGMA user_version = 1;              -- number of the newest migration step that this file has

-- Who may call: people, and machines (service users).
CREATE TABLE users (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,            -- on the wire; a UUID, or the JWT's user id claim
    issuer      TEXT    NOT NULL DEFAULT '',        -- configured issuer whose JWTs are this user; '' is none
    origin      TEXT    NOT NULL                    -- who made the row: 'api' (a person or the first start), 'jwt' (a login)
                CHECK (origin IN ('api', 'jwt')),
    name        TEXT    NOT NULL,                   -- up to 255 bytes, may be empty
    email       TEXT    NOT NULL,                   -- '' for a service user
    role        TEXT    NOT NULL
                CHECK (role IN ('owner', 'admin', 'network_admin', 'auditor', 'user', 'billing_admin')),
    auto_groups TEXT    NOT NULL DEFAULT '[]',      -- JSON array of group ids, kept for clients that manage them
    is_service  INTEGER NOT NULL CHECK (is_service IN (0, 1)),
    is_blocked  INTEGER NOT NULL DEFAULT 0 CHECK (is_blocked IN (0, 1)),
    is_pending  INTEGER NOT NULL DEFAULT 0 CHECK (is_pending IN (0, 1)),  -- waits for an approval
    is_invited  INTEGER NOT NULL DEFAULT 0 CHECK (is_invited IN (0, 1)),  -- has not logged in yet
    created_at  INTEGER NOT NULL,
    last_login  INTEGER,                            -- last login with a JWT; NULL is never
    CHECK (NOT (is_service = 1 AND role = 'owner'))
) STRICT;

-- There is at most one owner: two setups at once can't make two.
CREATE UNIQUE INDEX users_one_owner ON users (role) WHERE role = 'owner';

-- An address is given to one person only among those created here; JWT users bring what they have.
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE origin = 'api' AND email <> '';

-- Personal access tokens. The plain text is nowhere.
CREATE TABLE tokens (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    hash        BLOB    NOT NULL UNIQUE             -- BLAKE3 of the 40 characters
                CHECK (length(hash) = 32),
    id          TEXT    NOT NULL UNIQUE,            -- on the wire; an xid
    user        INTEGER NOT NULL REFERENCES users (number) ON DELETE CASCADE,
    name        TEXT    NOT NULL,                   -- what its maker called it; 1 to 255 bytes, not unique
    created_by  TEXT,                               -- id of the user who made it; NULL is the token's own user
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL                    -- created_at + N × 24 h
) STRICT;

CREATE INDEX tokens_user ON tokens (user);

-- When a token last passed. A table of its own: it is written all the time, and narrow rows are cheap.
CREATE TABLE token_usage (
    token       INTEGER PRIMARY KEY REFERENCES tokens (number) ON DELETE CASCADE,
    last_used   INTEGER NOT NULL
) STRICT;

-- Every change, written in the transaction that makes it. Nobody changes or deletes a row; since version 3
-- retention may let the oldest go, and the trigger below knows how far (src/store/migrate.rs).
CREATE TABLE audit_events (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    at              INTEGER NOT NULL,
    activity_code   TEXT    NOT NULL,               -- NetBird's codes, such as 'personal.access.token.create'
    initiator_id    TEXT    NOT NULL,               -- who did it, as they were then; 'sys' is the first start or the command line
    initiator_name  TEXT    NOT NULL,
    initiator_email TEXT    NOT NULL,
    target_id       TEXT    NOT NULL,               -- id of the user it was done to
    meta            TEXT    NOT NULL,               -- JSON object, string values
    user            INTEGER NOT NULL,               -- row number of that user, who may be gone by now
    token           INTEGER                         -- row number of the token, where it is about one
) STRICT;

CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events can''t be changed'); END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events can''t be deleted'); END;
