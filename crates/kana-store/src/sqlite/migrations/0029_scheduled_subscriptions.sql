-- Subscriptions that are set to begin and to end, and trials.
ALTER TABLE subscriptions ADD COLUMN
    -- Whether its start lay ahead, the end that was asked for, the end that holds, and that of its trial, as JSON:
    -- [0 or 1, end, end, end]. Null: nothing was said.
    timing TEXT;

-- Everything that is read of subscriptions that were not ended.
DROP INDEX subscriptions_that_run;
CREATE INDEX subscriptions_that_run
    ON subscriptions
        (environment_id, user_key, id, package_id, status, started_at, ended_at, quantities, timing)
    WHERE ended_at IS NULL;

-- What stands in the row that is found by a user's id has the timing, too. That of rows that are there stays as
-- it is: none of their subscriptions has one.
DROP TRIGGER user_facts_of_new;
DROP TRIGGER user_facts_of_renamed;
DROP TRIGGER user_facts_subscription_added;
DROP TRIGGER user_facts_subscription_changed;
DROP TRIGGER user_facts_subscription_deleted;

CREATE TRIGGER user_facts_of_new AFTER INSERT ON users
BEGIN
    INSERT INTO user_facts
        (environment_id, user_id, user_key, has_overrides, has_grants, has_holds, running)
    VALUES (new.environment_id, new.id, new.key,
        EXISTS (SELECT 1 FROM overrides o
            WHERE o.environment_id = new.environment_id AND o.user_key = new.key),
        EXISTS (SELECT 1 FROM grants g
            WHERE g.environment_id = new.environment_id AND g.user_key = new.key),
        EXISTS (SELECT 1 FROM holds h INDEXED BY holds_that_may_live
            WHERE h.environment_id = new.environment_id AND h.user_key = new.key
                AND h.ended_at IS NULL),
        (SELECT running_subscriptions(
                s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
            FROM subscriptions s INDEXED BY subscriptions_that_run
            WHERE s.environment_id = new.environment_id AND s.user_key = new.key
                AND s.ended_at IS NULL));
END;

CREATE TRIGGER user_facts_of_renamed AFTER UPDATE OF id ON users
WHEN new.id <> old.id
BEGIN
    DELETE FROM user_facts WHERE environment_id = old.environment_id AND user_id = old.id;
    INSERT INTO user_facts
        (environment_id, user_id, user_key, has_overrides, has_grants, has_holds, running)
    VALUES (new.environment_id, new.id, new.key,
        EXISTS (SELECT 1 FROM overrides o
            WHERE o.environment_id = new.environment_id AND o.user_key = new.key),
        EXISTS (SELECT 1 FROM grants g
            WHERE g.environment_id = new.environment_id AND g.user_key = new.key),
        EXISTS (SELECT 1 FROM holds h INDEXED BY holds_that_may_live
            WHERE h.environment_id = new.environment_id AND h.user_key = new.key
                AND h.ended_at IS NULL),
        (SELECT running_subscriptions(
                s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
            FROM subscriptions s INDEXED BY subscriptions_that_run
            WHERE s.environment_id = new.environment_id AND s.user_key = new.key
                AND s.ended_at IS NULL));
END;

CREATE TRIGGER user_facts_subscription_added AFTER INSERT ON subscriptions
WHEN new.ended_at IS NULL
BEGIN
    UPDATE user_facts SET running = (
        SELECT running_subscriptions(
            s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
        FROM subscriptions s INDEXED BY subscriptions_that_run
        WHERE s.environment_id = new.environment_id AND s.user_key = new.user_key
            AND s.ended_at IS NULL)
    WHERE environment_id = new.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = new.environment_id AND u.key = new.user_key);
END;

CREATE TRIGGER user_facts_subscription_changed AFTER UPDATE ON subscriptions
WHEN old.ended_at IS NULL OR new.ended_at IS NULL
BEGIN
    UPDATE user_facts SET running = (
        SELECT running_subscriptions(
            s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
        FROM subscriptions s INDEXED BY subscriptions_that_run
        WHERE s.environment_id = new.environment_id AND s.user_key = new.user_key
            AND s.ended_at IS NULL)
    WHERE environment_id = new.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = new.environment_id AND u.key = new.user_key);
END;

CREATE TRIGGER user_facts_subscription_deleted AFTER DELETE ON subscriptions
WHEN old.ended_at IS NULL
BEGIN
    UPDATE user_facts SET running = (
        SELECT running_subscriptions(
            s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
        FROM subscriptions s INDEXED BY subscriptions_that_run
        WHERE s.environment_id = old.environment_id AND s.user_key = old.user_key
            AND s.ended_at IS NULL)
    WHERE environment_id = old.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = old.environment_id AND u.key = old.user_key);
END;
