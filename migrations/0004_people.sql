-- Who may do what, by Mattermost's user ids. Names are for showing only.

-- Levels and flags. Who has no row is a user.
CREATE TABLE person (
    user       TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    level      TEXT NOT NULL CHECK (level IN ('user', 'operator', 'admin')),
    flags      TEXT NOT NULL, -- names with one space between
    changed_by TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may do nothing, until when; NULL is for ever.
CREATE TABLE ban (
    user     TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    given_by TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- When a banned person was told so last.
CREATE TABLE ban_notice (
    user    TEXT PRIMARY KEY,
    told_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose name it was when the configuration first named somebody so; and, for `[people]` of bartizan.toml, the level that
-- was taken over from there last.
CREATE TABLE known_name (
    name  TEXT PRIMARY KEY,
    user  TEXT NOT NULL,
    level TEXT CHECK (level IN ('banned', 'user', 'operator', 'admin'))
) STRICT, WITHOUT ROWID;

-- Whether a job was asked for in a private channel: scripts can require it, and rights are checked again at its start.
ALTER TABLE job ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
