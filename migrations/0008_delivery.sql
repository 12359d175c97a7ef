-- A command that waited too long is asked about; what a running job has printed so far is kept; how often a job was begun again.
-- The states are described in docs/delivery.md and named in broker/src/store/state.rs.
CREATE TABLE inbox_with_asked (
    post        TEXT PRIMARY KEY,
    channel     TEXT NOT NULL,
    author      TEXT NOT NULL,
    root        TEXT,
    text        TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    direct      INTEGER NOT NULL,
    caught_up   INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    -- By the server's clock.
    asked_ms    INTEGER NOT NULL DEFAULT 0,
    state       TEXT NOT NULL CHECK (state IN ('received', 'asked', 'done'))
) STRICT, WITHOUT ROWID;
INSERT INTO inbox_with_asked (post, channel, author, root, text, created_ms, direct, caught_up, received_ms, state)
    SELECT post, channel, author, root, text, created_ms, direct, caught_up, received_ms, state FROM inbox;
DROP TABLE inbox;
ALTER TABLE inbox_with_asked RENAME TO inbox;
CREATE INDEX inbox_undecided ON inbox (created_ms) WHERE state = 'received';
CREATE INDEX inbox_asked ON inbox (received_ms) WHERE state = 'asked';

ALTER TABLE job ADD COLUMN printed TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN begun_again INTEGER NOT NULL DEFAULT 0;
