-- A task of a pipeline: the job that it began with.
ALTER TABLE job ADD COLUMN part_of INTEGER;

-- Pipelines that are not over, as the core has them (JSON).
CREATE TABLE pipeline (
    job   INTEGER PRIMARY KEY,
    state TEXT NOT NULL
) STRICT;
