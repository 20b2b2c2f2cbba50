-- Adds the terms number to the key of counters. Existing counters get the first number, 0. The counter
-- log is written to the table and emptied, so that all its rows have the new form.
CREATE TABLE counters_with_terms (
    environment_id  INTEGER NOT NULL,
    user_key        BLOB    NOT NULL,
    subscription_id BLOB    NOT NULL,
    feature_id      TEXT    NOT NULL,
    -- The terms number that it was counted under. It grows with each change of the reset period.
    terms           INTEGER NOT NULL CHECK (terms >= 0),
    -- The earliest instant (-62167219200000) stands for the sum of the folded counters of this terms
    -- number.
    period_start    INTEGER NOT NULL,
    used            INTEGER NOT NULL CHECK (used >= 0),
    PRIMARY KEY (environment_id, user_key, subscription_id, feature_id, terms, period_start)
) STRICT, WITHOUT ROWID;

INSERT INTO counters_with_terms
    SELECT environment_id, user_key, subscription_id, feature_id, 0, period_start, used
    FROM current_counters
    ORDER BY environment_id, user_key, subscription_id, feature_id, period_start;

DROP VIEW current_counters;
DELETE FROM counter_log;
DROP TABLE counters;
ALTER TABLE counters_with_terms RENAME TO counters;

-- The current value of every counter, for queries by hand. The counter log takes precedence over the
-- table. It has lists of [user key, subscription id, feature id, terms, period start, used], where
-- used is null for a deleted counter.
CREATE VIEW current_counters AS
    SELECT environment_id, user_key, subscription_id, feature_id, terms, period_start, used
    FROM (
        SELECT 0 AS place, * FROM counters
        UNION ALL
        SELECT log.id * 1000000 + one.key + 1, environment_id,
            unhex(replace(one.value ->> 0, '-', '')), unhex(replace(one.value ->> 1, '-', '')),
            one.value ->> 2, one.value ->> 3, one.value ->> 4, one.value ->> 5
        FROM counter_log log, json_each(log.counters) one
    )
    GROUP BY environment_id, user_key, subscription_id, feature_id, terms, period_start
    HAVING place = max(place) AND used IS NOT NULL;

-- The terms of a package's features since it was published, for features whose terms have changed.
-- Ordered by position, oldest first; the last ones are current.
CREATE TABLE package_feature_terms (
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
    reset_period    TEXT    CHECK (reset_period IN ('DAY', 'MONTH', 'YEAR')),
    overage_enabled INTEGER NOT NULL CHECK (overage_enabled IN (0, 1)),
    PRIMARY KEY (environment_id, package_id, feature_id, position)
) STRICT, WITHOUT ROWID;
