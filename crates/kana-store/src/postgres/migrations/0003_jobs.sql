-- Work that is done later, by one node at a time. A job is deleted once everything is done; those
-- that recur stay. All instants are of the database's clock, which all nodes share.
CREATE TABLE jobs (
    id             uuid    NOT NULL PRIMARY KEY,
    kind           text    COLLATE "C" NOT NULL,
    -- To what it is done.
    key            text    COLLATE "C" NOT NULL CHECK (octet_length(key) <= 1024),
    -- Null: all environments.
    environment_id bigint,
    -- When it can be claimed: when it is due or, while it runs, when the lease of its node ends.
    due_at         bigint  NOT NULL,
    -- When a wait began that was to last for a time, and not until an instant. If that is later than
    -- now, the clock went back.
    waits_since    bigint,
    is_running     boolean NOT NULL DEFAULT false,
    -- For when it was scheduled while it was running.
    again_at       bigint,
    -- Grows with each claim.
    fence          bigint  NOT NULL DEFAULT 0,
    -- Since the last attempt that went well, with one that runs.
    attempts       bigint  NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How far it is, as JSON. Null: at its beginning.
    state          text    CHECK (octet_length(state) <= 16384),
    last_error     text,
    -- When it was given up.
    failed_at      bigint,
    created_at     bigint  NOT NULL,
    -- When an attempt last went well.
    succeeded_at   bigint
-- Rows change several times with each attempt.
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE UNIQUE INDEX jobs_by_key ON jobs (kind, key, coalesce(environment_id, 0));

CREATE INDEX jobs_by_due ON jobs (kind, due_at) WHERE failed_at IS NULL;

CREATE INDEX jobs_by_wait ON jobs (waits_since) WHERE waits_since IS NOT NULL;
