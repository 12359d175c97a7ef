-- A pause by the host's operator, while it holds: one row or none.
CREATE TABLE pause (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    -- Empty where none was given.
    reason   TEXT NOT NULL,
    by_name  TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;
