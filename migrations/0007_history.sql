-- What ended jobs printed, as it was shown (secrets masked), the newest few of each script. Writer: broker/src/store/history.rs.
CREATE TABLE history (
    job          INTEGER PRIMARY KEY,
    script       TEXT NOT NULL,
    user         TEXT NOT NULL,
    user_name    TEXT NOT NULL,
    channel      TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    direct       INTEGER NOT NULL,
    private      INTEGER NOT NULL,
    command      TEXT NOT NULL,
    ended_ms     INTEGER NOT NULL,
    ending       TEXT NOT NULL,
    output       TEXT NOT NULL,
    is_cut       INTEGER NOT NULL
) STRICT;
CREATE INDEX history_by_script ON history (script, job);
