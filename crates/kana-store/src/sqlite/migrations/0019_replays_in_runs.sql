-- Idempotency records in sorted runs, many to a row, instead of a row each at a random place of a table.
-- The program moves the records after this file, and then drops `replays_in_rows`.
DROP INDEX replays_by_age;
ALTER TABLE replays RENAME TO replays_in_rows;

CREATE TABLE replay_settings (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    -- Of the hash by which runs are sorted.
    seed      BLOB    NOT NULL,
    -- Runs whose newest records were kept in different periods are not merged. An eighth of the time
    -- for which records are kept.
    period_ms INTEGER NOT NULL CHECK (period_ms > 0)
) STRICT;

INSERT INTO replay_settings (id, seed, period_ms) VALUES (1, randomblob(16), 324000000);

-- The newest records: a row for each commit, as long as they are few.
CREATE TABLE replay_log (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;

CREATE TABLE replay_runs (
    id          INTEGER PRIMARY KEY,
    -- A run that is being written is not read yet, and one that is being deleted no more.
    state       TEXT    NOT NULL CHECK (state IN ('writing', 'whole', 'deleting')),
    level       INTEGER NOT NULL,
    -- The number of the period in which its newest record was kept.
    period      INTEGER NOT NULL,
    kept_from   INTEGER NOT NULL,
    kept_to     INTEGER NOT NULL,
    keys        INTEGER NOT NULL,
    first_block INTEGER NOT NULL,
    blocks      INTEGER NOT NULL CHECK (blocks > 0),
    first_part  INTEGER NOT NULL,
    -- Of its filter.
    lines       INTEGER NOT NULL CHECK (lines > 0),
    -- How many blocks have been written or deleted.
    done        INTEGER NOT NULL,
    -- The run that is being written from this one and others.
    merges_into INTEGER
) STRICT;

-- A block has the records whose hashes are in its part of all hashes; without a row, there are none.
CREATE TABLE replay_blocks (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;

CREATE TABLE replay_filters (
    id   INTEGER PRIMARY KEY,
    data BLOB    NOT NULL
) STRICT;

-- Every record, for who looks with SQL. Only the program has the function.
CREATE VIEW replays AS
    SELECT one.value ->> 0 AS environment_id, one.value ->> 1 AS idempotency_key,
        unhex(one.value ->> 2) AS user_key, one.value ->> 3 AS feature_id,
        one.value ->> 4 AS action, one.value ->> 5 AS delta, one.value ->> 6 AS occurred_at,
        one.value ->> 7 AS answer, one.value ->> 8 AS kept_at
    FROM (
        SELECT data FROM replay_log
        UNION ALL
        SELECT b.data FROM replay_runs r
        CROSS JOIN replay_blocks b ON b.id >= r.first_block AND b.id < r.first_block + r.blocks
        WHERE r.state = 'whole'
    ) block, json_each(replay_rows(block.data)) one;
