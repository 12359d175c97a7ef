-- Lines of the audit log that may not be on the disk in the log's own file yet, and always the last one that is. They are
-- written in the transaction of the turn that they tell of; broker/src/audit/ puts back into the file what it misses.
CREATE TABLE audit_pending (
    sequence INTEGER PRIMARY KEY,
    line     TEXT NOT NULL
) STRICT;
