-- Reset periods of a minute, an hour and a week, and periods counted by the calendar. SQLite changes no
-- CHECK of a column, so both tables are made anew.
CREATE TABLE package_features_with_anchor (
    environment_id  INTEGER NOT NULL,
    package_id      TEXT    NOT NULL,
    -- The order within the package.
    position        INTEGER NOT NULL,
    feature_id      TEXT    NOT NULL,
    name            TEXT,
    -- Null: unlimited.
    usage_limit     INTEGER CHECK (usage_limit >= 0),
    -- Null: never.
    reset_period    TEXT    CHECK (reset_period IN ('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR')),
    -- Null: the start of the subscription.
    reset_anchor    TEXT    CHECK (reset_anchor = 'CALENDAR'),
    overage_enabled INTEGER NOT NULL CHECK (overage_enabled IN (0, 1)),
    PRIMARY KEY (environment_id, package_id, position)
) STRICT, WITHOUT ROWID;

INSERT INTO package_features_with_anchor
    SELECT environment_id, package_id, position, feature_id, name, usage_limit, reset_period, NULL,
        overage_enabled
    FROM package_features;

DROP TABLE package_features;
ALTER TABLE package_features_with_anchor RENAME TO package_features;

CREATE TABLE package_feature_terms_with_anchor (
    environment_id  INTEGER NOT NULL,
    package_id      TEXT    NOT NULL,
    feature_id      TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    since           INTEGER NOT NULL,
    -- The terms number.
    terms           INTEGER NOT NULL CHECK (terms >= 0),
    -- 0 while the package did not have the feature.
    is_given        INTEGER NOT NULL CHECK (is_given IN (0, 1)),
    usage_limit     INTEGER CHECK (usage_limit >= 0),
    reset_period    TEXT    CHECK (reset_period IN ('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR')),
    -- Null: the start of the subscription.
    reset_anchor    TEXT    CHECK (reset_anchor = 'CALENDAR'),
    overage_enabled INTEGER NOT NULL CHECK (overage_enabled IN (0, 1)),
    PRIMARY KEY (environment_id, package_id, feature_id, position)
) STRICT, WITHOUT ROWID;

INSERT INTO package_feature_terms_with_anchor
    SELECT environment_id, package_id, feature_id, position, since, terms, is_given, usage_limit,
        reset_period, NULL, overage_enabled
    FROM package_feature_terms;

DROP TABLE package_feature_terms;
ALTER TABLE package_feature_terms_with_anchor RENAME TO package_feature_terms;
