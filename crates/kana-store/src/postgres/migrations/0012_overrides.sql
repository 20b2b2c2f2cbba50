-- Other terms of one feature for one user.
CREATE TABLE overrides (
    environment_id  bigint  NOT NULL,
    user_key        uuid    NOT NULL,
    feature_id      text    COLLATE "C" NOT NULL,
    -- A UUID of version 8. Counters and events have it in the place of a subscription's id.
    id              uuid    NOT NULL,
    kind            text    NOT NULL CHECK (kind IN ('LIMIT', 'UNLIMITED', 'DENY')),
    usage_limit     bigint  CHECK (usage_limit >= 0),
    reset_period    text    CHECK (reset_period IN ('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR')),
    -- Null: its start.
    reset_anchor    text    CHECK (reset_anchor = 'CALENDAR'),
    -- Null: as the package says.
    overage_enabled boolean,
    starts_at       bigint  NOT NULL,
    -- Null: until it is removed.
    ends_at         bigint,
    reason          text,
    -- What its own counters were counted under, oldest first, as JSON. Null: it never changed.
    history         text,
    PRIMARY KEY (environment_id, user_key, feature_id),
    CHECK ((kind = 'LIMIT') = (usage_limit IS NOT NULL))
);

-- Whether the user has overrides, so that a user without any costs no look-up. It stands in the row that
-- decisions lock, like the subscriptions that run.
ALTER TABLE users ADD COLUMN has_overrides boolean NOT NULL DEFAULT false;
