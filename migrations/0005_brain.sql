-- The brain: secrets, long-term memories and the bot's token, as ciphertext. docs/decisions/0005-brain.md has the formats.

-- One row: the wrapped data key, and the sealed index of every record's version.
CREATE TABLE brain (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    key_id  BLOB NOT NULL,
    -- How the passphrase becomes the master key; NULL where the master key is a file or a credential.
    kdf     TEXT,
    wrapped BLOB NOT NULL,
    epoch   INTEGER NOT NULL,
    sealed_index BLOB NOT NULL,
    -- Whether old ciphertext is still to be erased from the file: a new data key was just made.
    remains INTEGER NOT NULL
) STRICT;

CREATE TABLE brain_record (
    kind       TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL,
    written_ms INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, key)
) STRICT, WITHOUT ROWID;
