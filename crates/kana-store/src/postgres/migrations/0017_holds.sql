-- An amount of one feature that is kept for one user until the job is done that it is for.
CREATE TABLE holds (
    environment_id  bigint  NOT NULL,
    user_key        uuid    NOT NULL,
    id              text    COLLATE "C" NOT NULL,
    feature_id      text    COLLATE "C" NOT NULL,
    amount          bigint  NOT NULL CHECK (amount > 0),
    -- What one unit costs of the balance.
    cost            bigint  NOT NULL CHECK (cost > 0),
    -- The counter that it is held on.
    balance_id      text    COLLATE "C" NOT NULL,
    subscription_id uuid    NOT NULL,
    terms           bigint  NOT NULL,
    period_start    bigint  NOT NULL,
    created_at      bigint  NOT NULL,
    expires_at      bigint  NOT NULL,
    -- Null: it was neither settled nor released.
    ended_at        bigint,
    -- What was used of the feature. Null: it was not settled.
    settled         bigint  CHECK (settled >= 0),
    PRIMARY KEY (environment_id, user_key, id),
    CHECK (settled IS NULL OR ended_at IS NOT NULL)
);

CREATE INDEX holds_that_may_live ON holds (environment_id, user_key, expires_at)
WHERE ended_at IS NULL;

-- Those that are over are kept for a time, and then forgotten. The sum keeps the planner from taking this
-- index for a user's holds.
CREATE INDEX holds_by_end ON holds ((environment_id + 0), (coalesce(ended_at, expires_at)));

-- Whether the user has holds that have not ended, like has_grants. Where such holds were forgotten, it says
-- so until the user's next one.
ALTER TABLE users ADD COLUMN has_holds boolean NOT NULL DEFAULT false;
