-- Whom a change of a package touches.
CREATE INDEX subscriptions_by_package
    ON subscriptions (environment_id, package_id, user_key, status, ended_at)
    WHERE ended_at IS NULL;

-- Features that were ever used. A feature has many counters, spread by user, and an index of them
-- by feature would be written with every new one; this grows with the catalog only.
CREATE TABLE features_with_usage (
    environment_id INTEGER NOT NULL,
    feature_id     TEXT    NOT NULL,
    PRIMARY KEY (environment_id, feature_id)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO features_with_usage SELECT environment_id, feature_id FROM counters;
INSERT OR IGNORE INTO features_with_usage SELECT environment_id, feature_id FROM events;

-- A counter that is written again fires nothing.
CREATE TRIGGER counters_are_usage AFTER INSERT ON counters BEGIN
    INSERT OR IGNORE INTO features_with_usage VALUES (new.environment_id, new.feature_id);
END;

-- Usage that nothing granted has no counter.
CREATE TRIGGER uncounted_events_are_usage AFTER INSERT ON events WHEN new.subscription_id IS NULL
BEGIN
    INSERT OR IGNORE INTO features_with_usage VALUES (new.environment_id, new.feature_id);
END;
