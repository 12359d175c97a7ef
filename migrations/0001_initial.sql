-- Everything durable but the audit log. Times are ms since 1970 (UTC); ids are Mattermost's.
-- The states are described, with who writes them, in docs/protocol.md; broker/src/store/ is the only code that writes them.

-- How far each channel has been read.
CREATE TABLE cursor (
    channel TEXT PRIMARY KEY,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every post that looked meant for the bot, once: received -> done.
CREATE TABLE inbox (
    post        TEXT PRIMARY KEY,
    channel     TEXT NOT NULL,
    author      TEXT NOT NULL,
    root        TEXT,
    text        TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    direct      INTEGER NOT NULL,
    caught_up   INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('received', 'done'))
) STRICT, WITHOUT ROWID;
-- Only what waits is looked for; what is done costs the index nothing.
CREATE INDEX inbox_undecided ON inbox (created_ms) WHERE state = 'received';

-- One row per accepted command that starts a script: queued -> starting -> running -> done.
CREATE TABLE job (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    post         TEXT NOT NULL UNIQUE,
    root         TEXT NOT NULL,
    channel      TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    direct       INTEGER NOT NULL,
    user         TEXT NOT NULL,
    user_name    TEXT NOT NULL,
    restricted   INTEGER NOT NULL,
    script       TEXT NOT NULL,
    command      TEXT NOT NULL,
    queued_ms    INTEGER NOT NULL,
    started_ms   INTEGER,
    ended_ms     INTEGER,
    ending       TEXT,
    state        TEXT NOT NULL CHECK (state IN ('queued', 'starting', 'running', 'done'))
) STRICT;
CREATE INDEX job_by_state ON job (state, id);

-- What chat is still to be shown. A row goes when the server has it. The core counts the ids, upwards while it runs.
CREATE TABLE outbox (
    id              INTEGER PRIMARY KEY,
    kind            TEXT NOT NULL CHECK (kind IN ('reply', 'edit', 'react', 'unreact')),
    channel         TEXT,
    post            TEXT NOT NULL,
    reply_id        TEXT,
    emoji           TEXT,
    markup          TEXT,
    output          TEXT,
    attachment_name TEXT,
    attachment      BLOB,
    -- Whether it may be there already: then it is looked for first.
    again           INTEGER NOT NULL,
    queued_ms       INTEGER NOT NULL
) STRICT;
