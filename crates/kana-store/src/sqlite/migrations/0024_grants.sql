-- An extra amount of one feature for one user.
CREATE TABLE grants (
    environment_id INTEGER NOT NULL,
    user_key       BLOB    NOT NULL,
    key            BLOB    NOT NULL,
    -- The caller's id, or else the key.
    id             TEXT    NOT NULL,
    feature_id     TEXT    NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount > 0),
    -- How much of it counters have drawn.
    drawn          INTEGER NOT NULL CHECK (drawn BETWEEN 0 AND amount),
    priority       INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),
    starts_at      INTEGER NOT NULL,
    -- Null: it has no end.
    expires_at     INTEGER,
    voided_at      INTEGER,
    reason         TEXT,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, user_key, key),
    UNIQUE (environment_id, user_key, id)
) STRICT, WITHOUT ROWID;

-- What there was beside the limit and the usage.
ALTER TABLE threshold_events ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE threshold_events ADD COLUMN granted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE threshold_events ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
