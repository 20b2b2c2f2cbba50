-- Whom a change of a package touches.
CREATE INDEX subscriptions_by_package
    ON subscriptions (environment_id, package_id, user_key, status, ended_at)
    WHERE ended_at IS NULL;

-- Features that were ever used, counted or not. An index of counters or events by feature would be
-- written with every one of them; this grows with the catalog only.
CREATE TABLE features_with_usage (
    environment_id INTEGER NOT NULL,
    feature_id     TEXT    NOT NULL,
    PRIMARY KEY (environment_id, feature_id)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO features_with_usage SELECT environment_id, feature_id FROM counters;
INSERT OR IGNORE INTO features_with_usage SELECT environment_id, feature_id FROM events;
