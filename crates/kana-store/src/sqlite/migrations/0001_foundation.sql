-- Instants are milliseconds since 1970 in UTC. Enums stand by the contract's names, JSON as text.
-- Keys of users and ids of subscriptions are version 7 UUIDs of 16 bytes: their order is the order
-- of creation.

CREATE TABLE app (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE environments (
    id              INTEGER PRIMARY KEY,
    kind            TEXT    NOT NULL UNIQUE CHECK (kind IN ('test', 'live')),
    -- Grows by one with every change of the environment's features and packages.
    catalog_version INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id INTEGER NOT NULL REFERENCES environments (id),
    kind           TEXT    NOT NULL CHECK (kind IN ('private', 'public')),
    hash           BLOB    NOT NULL UNIQUE,
    last_four      TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    revoked_at     INTEGER
) STRICT;

CREATE TABLE features (
    environment_id    INTEGER NOT NULL,
    id                TEXT    NOT NULL,
    -- The order of creation.
    position          INTEGER NOT NULL,
    name              TEXT    NOT NULL,
    type              TEXT    NOT NULL CHECK (type IN ('BINARY', 'CONSUMABLE')),
    unit_label        TEXT,
    unit_label_plural TEXT,
    metadata          TEXT,
    PRIMARY KEY (environment_id, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX features_by_position ON features (environment_id, position);

CREATE TABLE packages (
    environment_id INTEGER NOT NULL,
    id             TEXT    NOT NULL,
    position       INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    is_addon       INTEGER NOT NULL CHECK (is_addon IN (0, 1)),
    status         TEXT    NOT NULL CHECK (status IN ('DRAFT', 'PUBLISHED', 'ARCHIVED')),
    metadata       TEXT,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX packages_by_position ON packages (environment_id, position);

CREATE TABLE package_features (
    environment_id  INTEGER NOT NULL,
    package_id      TEXT    NOT NULL,
    -- The order within the package.
    position        INTEGER NOT NULL,
    feature_id      TEXT    NOT NULL,
    name            TEXT,
    -- Null: unlimited.
    usage_limit     INTEGER CHECK (usage_limit >= 0),
    -- Null: never.
    reset_period    TEXT CHECK (reset_period IN ('DAY', 'MONTH', 'YEAR')),
    overage_enabled INTEGER NOT NULL CHECK (overage_enabled IN (0, 1)),
    PRIMARY KEY (environment_id, package_id, position)
) STRICT, WITHOUT ROWID;

-- The base packages that an add-on may be added to; none means any.
CREATE TABLE package_bases (
    environment_id  INTEGER NOT NULL,
    package_id      TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    base_package_id TEXT    NOT NULL,
    PRIMARY KEY (environment_id, package_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    environment_id INTEGER NOT NULL,
    -- Ours and permanent; everything else about the user is stored under it.
    key            BLOB    NOT NULL,
    -- The product's own, which can change.
    id             TEXT    NOT NULL,
    billing_id     TEXT,
    name           TEXT,
    email          TEXT,
    metadata       TEXT,
    PRIMARY KEY (environment_id, key)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_by_id ON users (environment_id, id);

CREATE TABLE subscriptions (
    environment_id INTEGER NOT NULL,
    user_key       BLOB    NOT NULL,
    id             BLOB    NOT NULL,
    package_id     TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    started_at     INTEGER NOT NULL,
    -- Null: it runs.
    ended_at       INTEGER,
    PRIMARY KEY (environment_id, user_key, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX subscriptions_by_id ON subscriptions (environment_id, id);

-- Only those that run can grant anything now. Reading them costs the same however many have ended.
CREATE INDEX subscriptions_that_run ON subscriptions (environment_id, user_key)
    WHERE ended_at IS NULL;

CREATE TABLE counters (
    environment_id  INTEGER NOT NULL,
    user_key        BLOB    NOT NULL,
    subscription_id BLOB    NOT NULL,
    feature_id      TEXT    NOT NULL,
    period_start    INTEGER NOT NULL,
    used            INTEGER NOT NULL CHECK (used >= 0),
    PRIMARY KEY (environment_id, user_key, subscription_id, feature_id, period_start)
) STRICT, WITHOUT ROWID;

-- The log. It only grows at its end, in the order in which events arrived, and nothing that is
-- decided reads it.
CREATE TABLE events (
    id              INTEGER PRIMARY KEY,
    environment_id  INTEGER NOT NULL,
    user_key        BLOB    NOT NULL,
    feature_id      TEXT    NOT NULL,
    action          TEXT    NOT NULL CHECK (action IN ('ADD', 'SET')),
    delta           INTEGER NOT NULL,
    occurred_at     INTEGER NOT NULL,
    recorded_at     INTEGER NOT NULL,
    -- Null: nothing granted the feature, and the event was not counted.
    subscription_id BLOB,
    idempotency_key TEXT,
    metadata        TEXT
) STRICT;

-- What was asked under an idempotency key, and what was answered.
CREATE TABLE replays (
    environment_id  INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,
    user_key        BLOB    NOT NULL,
    feature_id      TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    delta           INTEGER NOT NULL,
    occurred_at     INTEGER,
    answer          TEXT    NOT NULL,
    kept_at         INTEGER NOT NULL,
    PRIMARY KEY (environment_id, idempotency_key)
) STRICT, WITHOUT ROWID;
