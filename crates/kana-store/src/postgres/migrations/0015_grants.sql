-- An extra amount of one feature for one user.
CREATE TABLE grants (
    environment_id bigint  NOT NULL,
    user_key       uuid    NOT NULL,
    key            uuid    NOT NULL,
    -- The caller's id, or else the key.
    id             text    COLLATE "C" NOT NULL,
    feature_id     text    COLLATE "C" NOT NULL,
    amount         bigint  NOT NULL CHECK (amount > 0),
    -- How much of it counters have drawn.
    drawn          bigint  NOT NULL CHECK (drawn BETWEEN 0 AND amount),
    priority       bigint  NOT NULL CHECK (priority BETWEEN -100 AND 100),
    starts_at      bigint  NOT NULL,
    -- Null: it has no end.
    expires_at     bigint,
    voided_at      bigint,
    reason         text,
    created_at     bigint  NOT NULL,
    PRIMARY KEY (environment_id, user_key, key),
    UNIQUE (environment_id, user_key, id)
);

-- Whether the user has grants, like has_overrides.
ALTER TABLE users ADD COLUMN has_grants boolean NOT NULL DEFAULT false;

-- What there was beside the limit and the usage.
ALTER TABLE threshold_events ADD COLUMN carried bigint NOT NULL DEFAULT 0;
ALTER TABLE threshold_events ADD COLUMN granted bigint NOT NULL DEFAULT 0;
ALTER TABLE threshold_events ADD COLUMN held bigint NOT NULL DEFAULT 0;
