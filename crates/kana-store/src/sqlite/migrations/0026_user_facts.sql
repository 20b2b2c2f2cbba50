-- What a question needs to know of a user, by the user's id: one look-up finds it, where users, subscriptions,
-- overrides and grants take one each. Written by the triggers below, in the transaction that changes those. A
-- user without a row was there before this table, and is found in the tables until a job has added the row.
CREATE TABLE user_facts (
    environment_id INTEGER NOT NULL,
    user_id        TEXT    NOT NULL,
    user_key       BLOB    NOT NULL,
    has_overrides  INTEGER NOT NULL CHECK (has_overrides IN (0, 1)),
    has_grants     INTEGER NOT NULL CHECK (has_grants IN (0, 1)),
    -- The subscriptions that run, in the form of running_subscriptions.rs. Null: more than fits; the table of
    -- subscriptions says which.
    running        BLOB,
    PRIMARY KEY (environment_id, user_id)
) STRICT, WITHOUT ROWID;

-- Environments with users who may have no row yet.
CREATE TABLE user_facts_to_gather (
    environment_id INTEGER NOT NULL PRIMARY KEY,
    -- Users with ids up to this one have a row.
    after_id       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO user_facts_to_gather (environment_id, after_id)
SELECT e.id, '' FROM environments e
WHERE EXISTS (SELECT 1 FROM users u WHERE u.environment_id = e.id);

CREATE TRIGGER user_facts_of_new AFTER INSERT ON users
BEGIN
    INSERT INTO user_facts (environment_id, user_id, user_key, has_overrides, has_grants, running)
    VALUES (new.environment_id, new.id, new.key,
        EXISTS (SELECT 1 FROM overrides o
            WHERE o.environment_id = new.environment_id AND o.user_key = new.key),
        EXISTS (SELECT 1 FROM grants g
            WHERE g.environment_id = new.environment_id AND g.user_key = new.key),
        (SELECT running_subscriptions(s.id, s.package_id, s.status, s.started_at, s.quantities)
            FROM subscriptions s INDEXED BY subscriptions_that_run
            WHERE s.environment_id = new.environment_id AND s.user_key = new.key
                AND s.ended_at IS NULL));
END;

CREATE TRIGGER user_facts_of_renamed AFTER UPDATE OF id ON users
WHEN new.id <> old.id
BEGIN
    DELETE FROM user_facts WHERE environment_id = old.environment_id AND user_id = old.id;
    INSERT INTO user_facts (environment_id, user_id, user_key, has_overrides, has_grants, running)
    VALUES (new.environment_id, new.id, new.key,
        EXISTS (SELECT 1 FROM overrides o
            WHERE o.environment_id = new.environment_id AND o.user_key = new.key),
        EXISTS (SELECT 1 FROM grants g
            WHERE g.environment_id = new.environment_id AND g.user_key = new.key),
        (SELECT running_subscriptions(s.id, s.package_id, s.status, s.started_at, s.quantities)
            FROM subscriptions s INDEXED BY subscriptions_that_run
            WHERE s.environment_id = new.environment_id AND s.user_key = new.key
                AND s.ended_at IS NULL));
END;

CREATE TRIGGER user_facts_of_deleted AFTER DELETE ON users
BEGIN
    DELETE FROM user_facts WHERE environment_id = old.environment_id AND user_id = old.id;
END;

CREATE TRIGGER user_facts_subscription_added AFTER INSERT ON subscriptions
WHEN new.ended_at IS NULL
BEGIN
    UPDATE user_facts SET running = (
        SELECT running_subscriptions(s.id, s.package_id, s.status, s.started_at, s.quantities)
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
        SELECT running_subscriptions(s.id, s.package_id, s.status, s.started_at, s.quantities)
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
        SELECT running_subscriptions(s.id, s.package_id, s.status, s.started_at, s.quantities)
        FROM subscriptions s INDEXED BY subscriptions_that_run
        WHERE s.environment_id = old.environment_id AND s.user_key = old.user_key
            AND s.ended_at IS NULL)
    WHERE environment_id = old.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = old.environment_id AND u.key = old.user_key);
END;

CREATE TRIGGER user_facts_override_added AFTER INSERT ON overrides
BEGIN
    UPDATE user_facts SET has_overrides = 1
    WHERE environment_id = new.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = new.environment_id AND u.key = new.user_key);
END;

CREATE TRIGGER user_facts_override_deleted AFTER DELETE ON overrides
BEGIN
    UPDATE user_facts SET has_overrides = EXISTS (
        SELECT 1 FROM overrides o
        WHERE o.environment_id = old.environment_id AND o.user_key = old.user_key)
    WHERE environment_id = old.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = old.environment_id AND u.key = old.user_key);
END;

CREATE TRIGGER user_facts_grant_added AFTER INSERT ON grants
BEGIN
    UPDATE user_facts SET has_grants = 1
    WHERE environment_id = new.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = new.environment_id AND u.key = new.user_key);
END;

CREATE TRIGGER user_facts_grant_deleted AFTER DELETE ON grants
BEGIN
    UPDATE user_facts SET has_grants = EXISTS (
        SELECT 1 FROM grants g
        WHERE g.environment_id = old.environment_id AND g.user_key = old.user_key)
    WHERE environment_id = old.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = old.environment_id AND u.key = old.user_key);
END;
