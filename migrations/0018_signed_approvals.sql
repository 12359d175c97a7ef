-- Keys that people sign approvals with, outside of chat. A key is one person's.
CREATE TABLE person_key (
    key      TEXT PRIMARY KEY, -- ssh-ed25519 AAAA…, without a comment
    user     TEXT NOT NULL,
    name     TEXT NOT NULL,
    added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What those sign who approve, where signatures are asked for, and what they gave.
ALTER TABLE approval ADD COLUMN statement TEXT NOT NULL DEFAULT '';
ALTER TABLE approval_vote ADD COLUMN signature TEXT;
