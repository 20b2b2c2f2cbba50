-- How many users each package grants something to now, so that nobody has to count them: as many as have
-- at least one subscription to it that runs and is active or in trial. Written by the triggers below alone,
-- in the transaction that changes the subscriptions.
CREATE TABLE package_subscribers (
    environment_id INTEGER NOT NULL,
    package_id     TEXT    NOT NULL,
    subscribers    INTEGER NOT NULL,
    PRIMARY KEY (environment_id, package_id)
) STRICT, WITHOUT ROWID;

INSERT INTO package_subscribers (environment_id, package_id, subscribers)
SELECT environment_id, package_id, count(DISTINCT user_key) FROM subscriptions
WHERE ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING')
GROUP BY environment_id, package_id;

-- The user's first subscription to the package that grants something.
CREATE TRIGGER subscriber_added AFTER INSERT ON subscriptions
WHEN new.ended_at IS NULL AND new.status IN ('ACTIVE', 'TRIALING')
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = new.environment_id AND package_id = new.package_id
            AND user_key = new.user_key AND ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING')
            AND id <> new.id)
BEGIN
    INSERT INTO package_subscribers (environment_id, package_id, subscribers)
    VALUES (new.environment_id, new.package_id, 1)
    ON CONFLICT DO UPDATE SET subscribers = subscribers + 1;
END;

-- A subscription begins to grant something, or goes to another package.
CREATE TRIGGER subscriber_changed_to AFTER UPDATE ON subscriptions
WHEN new.ended_at IS NULL AND new.status IN ('ACTIVE', 'TRIALING')
    AND NOT (old.ended_at IS NULL AND old.status IN ('ACTIVE', 'TRIALING')
        AND old.package_id = new.package_id)
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = new.environment_id AND package_id = new.package_id
            AND user_key = new.user_key AND ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING')
            AND id <> new.id)
BEGIN
    INSERT INTO package_subscribers (environment_id, package_id, subscribers)
    VALUES (new.environment_id, new.package_id, 1)
    ON CONFLICT DO UPDATE SET subscribers = subscribers + 1;
END;

-- The user's last subscription to the package no longer grants anything, or is to another package.
CREATE TRIGGER subscriber_changed_from AFTER UPDATE ON subscriptions
WHEN old.ended_at IS NULL AND old.status IN ('ACTIVE', 'TRIALING')
    AND NOT (new.ended_at IS NULL AND new.status IN ('ACTIVE', 'TRIALING')
        AND new.package_id = old.package_id)
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = old.environment_id AND package_id = old.package_id
            AND user_key = old.user_key AND ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING'))
BEGIN
    UPDATE package_subscribers SET subscribers = subscribers - 1
    WHERE environment_id = old.environment_id AND package_id = old.package_id;
END;

CREATE TRIGGER subscriber_deleted AFTER DELETE ON subscriptions
WHEN old.ended_at IS NULL AND old.status IN ('ACTIVE', 'TRIALING')
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = old.environment_id AND package_id = old.package_id
            AND user_key = old.user_key AND ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING'))
BEGIN
    UPDATE package_subscribers SET subscribers = subscribers - 1
    WHERE environment_id = old.environment_id AND package_id = old.package_id;
END;
