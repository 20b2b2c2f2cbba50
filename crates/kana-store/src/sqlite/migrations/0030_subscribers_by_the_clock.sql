-- Who has a package at an instant. A subscription that is set to begin or to end counts for a stretch of time, and
-- nothing is written when it begins or ends: it is compared with the clock of whoever asks. All others count until
-- they are changed, and how many users have one of those is kept by triggers, as before.
DROP INDEX subscriptions_by_package;
CREATE INDEX subscriptions_by_package
    ON subscriptions
        (environment_id, package_id, user_key, status, ended_at, started_at, timing)
    WHERE ended_at IS NULL;

-- Those of which a clock is asked, by their end, so that those whose end has come are passed over at once. One
-- without an end is at the end of all time.
CREATE INDEX subscriptions_by_clock
    ON subscriptions
        (environment_id, package_id,
            coalesce(timing ->> 2, CASE timing ->> 0 WHEN 1 THEN 9223372036854775807 END),
            user_key, status, ended_at, started_at, timing)
    WHERE ended_at IS NULL
        AND coalesce(timing ->> 2, CASE timing ->> 0 WHEN 1 THEN 9223372036854775807 END) IS NOT NULL;

DROP TRIGGER subscriber_added;
DROP TRIGGER subscriber_changed_to;
DROP TRIGGER subscriber_changed_from;
DROP TRIGGER subscriber_deleted;

-- From here on without those of which a clock is asked.
DELETE FROM package_subscribers;
INSERT INTO package_subscribers (environment_id, package_id, subscribers)
SELECT environment_id, package_id, count(DISTINCT user_key) FROM subscriptions
WHERE ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING')
    AND coalesce(timing ->> 2, nullif(timing ->> 0, 0)) IS NULL
GROUP BY environment_id, package_id;

-- The user's first subscription to the package that grants something, whatever a clock says.
CREATE TRIGGER subscriber_added AFTER INSERT ON subscriptions
WHEN new.ended_at IS NULL AND new.status IN ('ACTIVE', 'TRIALING')
    AND coalesce(new.timing ->> 2, nullif(new.timing ->> 0, 0)) IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = new.environment_id AND package_id = new.package_id
            AND user_key = new.user_key AND ended_at IS NULL
            AND coalesce(timing ->> 2, nullif(timing ->> 0, 0)) IS NULL
            AND status IN ('ACTIVE', 'TRIALING') AND id <> new.id)
BEGIN
    INSERT INTO package_subscribers (environment_id, package_id, subscribers)
    VALUES (new.environment_id, new.package_id, 1)
    ON CONFLICT DO UPDATE SET subscribers = subscribers + 1;
END;

-- A subscription begins to grant something, loses its end, or goes to another package.
CREATE TRIGGER subscriber_changed_to AFTER UPDATE ON subscriptions
WHEN new.ended_at IS NULL AND new.status IN ('ACTIVE', 'TRIALING')
    AND coalesce(new.timing ->> 2, nullif(new.timing ->> 0, 0)) IS NULL
    AND NOT (old.ended_at IS NULL
        AND coalesce(old.timing ->> 2, nullif(old.timing ->> 0, 0)) IS NULL
        AND old.status IN ('ACTIVE', 'TRIALING') AND old.package_id = new.package_id)
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = new.environment_id AND package_id = new.package_id
            AND user_key = new.user_key AND ended_at IS NULL
            AND coalesce(timing ->> 2, nullif(timing ->> 0, 0)) IS NULL
            AND status IN ('ACTIVE', 'TRIALING') AND id <> new.id)
BEGIN
    INSERT INTO package_subscribers (environment_id, package_id, subscribers)
    VALUES (new.environment_id, new.package_id, 1)
    ON CONFLICT DO UPDATE SET subscribers = subscribers + 1;
END;

-- The user's last subscription to the package no longer grants anything, gets an end, or is to another package.
CREATE TRIGGER subscriber_changed_from AFTER UPDATE ON subscriptions
WHEN old.ended_at IS NULL AND old.status IN ('ACTIVE', 'TRIALING')
    AND coalesce(old.timing ->> 2, nullif(old.timing ->> 0, 0)) IS NULL
    AND NOT (new.ended_at IS NULL
        AND coalesce(new.timing ->> 2, nullif(new.timing ->> 0, 0)) IS NULL
        AND new.status IN ('ACTIVE', 'TRIALING') AND new.package_id = old.package_id)
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = old.environment_id AND package_id = old.package_id
            AND user_key = old.user_key AND ended_at IS NULL
            AND coalesce(timing ->> 2, nullif(timing ->> 0, 0)) IS NULL
            AND status IN ('ACTIVE', 'TRIALING'))
BEGIN
    UPDATE package_subscribers SET subscribers = subscribers - 1
    WHERE environment_id = old.environment_id AND package_id = old.package_id;
END;

CREATE TRIGGER subscriber_deleted AFTER DELETE ON subscriptions
WHEN old.ended_at IS NULL AND old.status IN ('ACTIVE', 'TRIALING')
    AND coalesce(old.timing ->> 2, nullif(old.timing ->> 0, 0)) IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM subscriptions
        WHERE environment_id = old.environment_id AND package_id = old.package_id
            AND user_key = old.user_key AND ended_at IS NULL
            AND coalesce(timing ->> 2, nullif(timing ->> 0, 0)) IS NULL
            AND status IN ('ACTIVE', 'TRIALING'))
BEGIN
    UPDATE package_subscribers SET subscribers = subscribers - 1
    WHERE environment_id = old.environment_id AND package_id = old.package_id;
END;
