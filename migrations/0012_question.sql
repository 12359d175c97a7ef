-- Commands whose author is asked for an argument: what is left here at a start was not answered before the service ended.
CREATE TABLE question (
    post    TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    author  TEXT NOT NULL,
    root    TEXT,
    direct  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
