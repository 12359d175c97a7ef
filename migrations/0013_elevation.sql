-- Who has a second factor. Its secret is in the brain. `last_step` is the newest time step whose code was used or burned:
-- neither it nor an older one is taken again.
CREATE TABLE factor (
    user            TEXT PRIMARY KEY,
    user_name       TEXT NOT NULL,
    begun_ms        INTEGER NOT NULL,
    confirmed       INTEGER NOT NULL,
    last_step       INTEGER NOT NULL,
    failures        INTEGER NOT NULL,
    locked_until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- SHA-256 of each recovery code that was not used yet.
CREATE TABLE recovery_code (
    user TEXT NOT NULL REFERENCES factor (user) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;

-- The commands that were given with a second factor, by their posts: asked for again when the job starts.
CREATE TABLE elevated (
    post  TEXT PRIMARY KEY,
    user  TEXT NOT NULL,
    -- Whether a code was given for this command alone.
    alone INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A post of somebody else's that the core has deleted, where it may: a code in a channel.
ALTER TABLE protected_write ADD COLUMN deletes TEXT;
