-- When the service was started, and whether it ended in order: several starts that did not are a crash loop. How often a post
-- that was left over was about to be judged: one that ends the service each time is not tried for ever.
CREATE TABLE start (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms    INTEGER NOT NULL,
    in_order INTEGER NOT NULL DEFAULT 0
) STRICT;

ALTER TABLE inbox ADD COLUMN beginnings INTEGER NOT NULL DEFAULT 0;
