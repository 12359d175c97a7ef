-- Jobs that nobody asked for: `schedule:NAME` or `trigger:NAME`; empty where a person asked.
ALTER TABLE job ADD COLUMN actor TEXT NOT NULL DEFAULT '';

-- How far each schedule is decided: every time at which it is due, up to this one, has been begun or passed over.
CREATE TABLE schedule (
    name       TEXT PRIMARY KEY,
    -- When it is due, as the configuration has it: another one begins anew.
    rule       TEXT NOT NULL,
    begun_ms   INTEGER NOT NULL,
    decided_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Schedules that somebody paused.
CREATE TABLE schedule_pause (
    name      TEXT PRIMARY KEY,
    -- For good where there is nothing.
    until_ms  INTEGER,
    by_name   TEXT NOT NULL,
    paused_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
