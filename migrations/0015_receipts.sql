-- A receipt for each job that was started: a draft until it has ended, then signed and never changed.
CREATE TABLE receipt (
    job        INTEGER PRIMARY KEY,
    script     TEXT NOT NULL,
    user       TEXT NOT NULL,
    channel    TEXT NOT NULL,
    direct     INTEGER NOT NULL,
    private    INTEGER NOT NULL,
    text       TEXT NOT NULL,
    written_ms INTEGER NOT NULL,
    sealed     INTEGER NOT NULL
) STRICT;

-- Commands that were given with a broken glass: one person, and why.
CREATE TABLE broken_glass (
    post   TEXT PRIMARY KEY,
    user   TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
