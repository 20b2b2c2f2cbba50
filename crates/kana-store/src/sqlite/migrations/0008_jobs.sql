-- Work that is done later. A job is deleted once everything is done; those that recur stay.
CREATE TABLE jobs (
    id             BLOB    NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL,
    -- To what it is done.
    key            TEXT    NOT NULL CHECK (length(CAST(key AS BLOB)) <= 1024),
    -- Null: all environments.
    environment_id INTEGER,
    -- When it can be claimed: when it is due or, while it runs, when the lease of its server ends.
    due_at         INTEGER NOT NULL,
    -- When a wait began that was to last for a time, and not until an instant. If that is later than
    -- now, the clock went back.
    waits_since    INTEGER,
    is_running     INTEGER NOT NULL DEFAULT 0 CHECK (is_running IN (0, 1)),
    -- For when it was scheduled while it was running.
    again_at       INTEGER,
    -- Grows with each claim.
    fence          INTEGER NOT NULL DEFAULT 0,
    -- Since the last attempt that went well, with one that runs.
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How far it is, as JSON. Null: at its beginning.
    state          TEXT CHECK (length(CAST(state AS BLOB)) <= 16384),
    last_error     TEXT,
    -- When it was given up.
    failed_at      INTEGER,
    created_at     INTEGER NOT NULL,
    -- When an attempt last went well.
    succeeded_at   INTEGER
) STRICT;

CREATE UNIQUE INDEX jobs_by_key ON jobs (kind, key, coalesce(environment_id, 0));

CREATE INDEX jobs_by_due ON jobs (kind, due_at) WHERE failed_at IS NULL;

-- A server that starts ends the leases of the one before it.
CREATE INDEX jobs_that_run ON jobs (id) WHERE is_running = 1;

CREATE INDEX jobs_by_wait ON jobs (waits_since) WHERE waits_since IS NOT NULL;
