-- Threads in which what people write runs a script (`bz subscribe`). `user` is the only one who is heard; everybody who may run
-- the script where it is null. `until_ms` is by the server's clock, in ms since 1970.
CREATE TABLE subscription (
    root TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    script TEXT NOT NULL,
    user TEXT,
    until_ms INTEGER NOT NULL
) STRICT;
