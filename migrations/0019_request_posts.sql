-- What a request's post says once it has ended: what was asked for, and with it how that ended.
ALTER TABLE approval ADD COLUMN story TEXT NOT NULL DEFAULT '';
ALTER TABLE approval ADD COLUMN closing TEXT;

-- A write that changes a post of the core's own.
ALTER TABLE protected_write ADD COLUMN edits TEXT;

-- Until when it waits by the host's own clock: the server says how late it is, and may stand still.
ALTER TABLE approval ADD COLUMN host_expires_ms INTEGER;
