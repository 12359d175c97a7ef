-- The emergency stop, while it holds: one row or none.
CREATE TABLE lockdown (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    reason   TEXT NOT NULL,
    -- A user id; nothing for the host's operator.
    by_user  TEXT,
    by_name  TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;
