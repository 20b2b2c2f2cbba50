-- An amount of one feature that is kept for one user until the job is done that it is for.
CREATE TABLE holds (
    environment_id  INTEGER NOT NULL,
    user_key        BLOB    NOT NULL,
    id              TEXT    NOT NULL,
    feature_id      TEXT    NOT NULL,
    amount          INTEGER NOT NULL CHECK (amount > 0),
    -- What one unit costs of the balance.
    cost            INTEGER NOT NULL CHECK (cost > 0),
    -- The counter that it is held on.
    balance_id      TEXT    NOT NULL,
    subscription_id BLOB    NOT NULL,
    terms           INTEGER NOT NULL,
    period_start    INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    -- Null: it was neither settled nor released.
    ended_at        INTEGER,
    -- What was used of the feature. Null: it was not settled.
    settled         INTEGER CHECK (settled >= 0),
    PRIMARY KEY (environment_id, user_key, id),
    CHECK (settled IS NULL OR ended_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX holds_that_may_live ON holds (environment_id, user_key, expires_at)
WHERE ended_at IS NULL;

-- Those that are over are kept for a time, and then forgotten.
CREATE INDEX holds_by_end ON holds (environment_id, coalesce(ended_at, expires_at));

-- Whether the user has holds that have not ended. The triggers that write a user's whole row follow in
-- 0029_scheduled_subscriptions.sql.
ALTER TABLE user_facts ADD COLUMN has_holds INTEGER NOT NULL DEFAULT 0 CHECK (has_holds IN (0, 1));

CREATE TRIGGER user_facts_hold_added AFTER INSERT ON holds
WHEN new.ended_at IS NULL
BEGIN
    UPDATE user_facts SET has_holds = 1
    WHERE environment_id = new.environment_id AND has_holds = 0 AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = new.environment_id AND u.key = new.user_key);
END;

CREATE TRIGGER user_facts_hold_ended AFTER UPDATE OF ended_at ON holds
WHEN (old.ended_at IS NULL) <> (new.ended_at IS NULL)
BEGIN
    UPDATE user_facts SET has_holds = EXISTS (
        SELECT 1 FROM holds h INDEXED BY holds_that_may_live
        WHERE h.environment_id = new.environment_id AND h.user_key = new.user_key
            AND h.ended_at IS NULL)
    WHERE environment_id = new.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = new.environment_id AND u.key = new.user_key);
END;

CREATE TRIGGER user_facts_hold_deleted AFTER DELETE ON holds
WHEN old.ended_at IS NULL
BEGIN
    UPDATE user_facts SET has_holds = 0
    WHERE environment_id = old.environment_id AND user_id = (
        SELECT u.id FROM users u
        WHERE u.environment_id = old.environment_id AND u.key = old.user_key)
    AND NOT EXISTS (
        SELECT 1 FROM holds h INDEXED BY holds_that_may_live
        WHERE h.environment_id = old.environment_id AND h.user_key = old.user_key
            AND h.ended_at IS NULL);
END;
