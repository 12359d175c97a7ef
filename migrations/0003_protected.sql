-- What the core itself writes in chat. One row per post that is still to be written; egress gets them in this order.
CREATE TABLE protected_write (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    channel   TEXT,
    user      TEXT,
    root      TEXT,
    message   TEXT NOT NULL,
    key       TEXT NOT NULL UNIQUE,
    queued_ms INTEGER NOT NULL,
    CHECK ((channel IS NULL) <> (user IS NULL))
) STRICT;

-- The posts that came of it: egress lets no connector change them for as long as they are here.
CREATE TABLE protected_post (
    post       TEXT PRIMARY KEY,
    channel    TEXT NOT NULL,
    key        TEXT NOT NULL UNIQUE,
    written_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX protected_by_time ON protected_post (written_ms);
