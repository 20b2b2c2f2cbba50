-- Other terms of one feature for one user.
CREATE TABLE overrides (
    environment_id  INTEGER NOT NULL,
    user_key        BLOB    NOT NULL,
    feature_id      TEXT    NOT NULL,
    -- A UUID of version 8. Counters and events have it in the place of a subscription's id.
    id              BLOB    NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('LIMIT', 'UNLIMITED', 'DENY')),
    usage_limit     INTEGER CHECK (usage_limit >= 0),
    reset_period    TEXT    CHECK (reset_period IN ('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR')),
    -- Null: its start.
    reset_anchor    TEXT    CHECK (reset_anchor = 'CALENDAR'),
    -- Null: as the package says.
    overage_enabled INTEGER CHECK (overage_enabled IN (0, 1)),
    starts_at       INTEGER NOT NULL,
    -- Null: until it is removed.
    ends_at         INTEGER,
    reason          TEXT,
    -- What its own counters were counted under, oldest first, as JSON. Null: it never changed.
    history         TEXT,
    PRIMARY KEY (environment_id, user_key, feature_id),
    CHECK ((kind = 'LIMIT') = (usage_limit IS NOT NULL))
) STRICT, WITHOUT ROWID;
