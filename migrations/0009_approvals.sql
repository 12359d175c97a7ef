-- Commands that others must agree to: pending -> approved | denied | expired | withdrawn | voided. What was asked for stands
-- here as it does in `job`, which an approved one becomes in the same transaction.
CREATE TABLE approval (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    post         TEXT NOT NULL UNIQUE,
    root         TEXT NOT NULL,
    channel      TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    direct       INTEGER NOT NULL,
    private      INTEGER NOT NULL,
    user         TEXT NOT NULL,
    user_name    TEXT NOT NULL,
    restricted   INTEGER NOT NULL,
    script       TEXT NOT NULL,
    command      TEXT NOT NULL,
    -- SHA-256, in hexadecimal, of everything that is agreed to.
    digest       TEXT NOT NULL,
    -- By the server's clock.
    asked_ms     INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'withdrawn', 'voided')),
    ended_ms     INTEGER
) STRICT;
CREATE INDEX approval_pending ON approval (id) WHERE state = 'pending';

-- Who agreed. An account counts once.
CREATE TABLE approval_vote (
    approval   INTEGER NOT NULL REFERENCES approval (id) ON DELETE CASCADE,
    user       TEXT NOT NULL,
    user_name  TEXT NOT NULL,
    restricted INTEGER NOT NULL,
    voted_ms   INTEGER NOT NULL,
    PRIMARY KEY (approval, user)
) STRICT, WITHOUT ROWID;
