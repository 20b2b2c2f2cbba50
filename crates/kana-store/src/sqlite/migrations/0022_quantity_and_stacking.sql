-- Quantities of subscriptions, and limits that are added to others.
ALTER TABLE package_features ADD COLUMN
    -- Null: the highest limit counts.
    stacking TEXT CHECK (stacking = 'ADD');
ALTER TABLE package_feature_terms ADD COLUMN
    -- Null: the highest limit counts.
    stacking TEXT CHECK (stacking = 'ADD');
ALTER TABLE subscriptions ADD COLUMN
    -- The oldest known quantity and its changes, oldest first, as JSON: [quantity, [[since, quantity], ...]].
    -- Null: always one.
    quantities TEXT;

-- Everything that is read of subscriptions that run.
DROP INDEX subscriptions_that_run;
CREATE INDEX subscriptions_that_run
    ON subscriptions
        (environment_id, user_key, id, package_id, status, started_at, ended_at, quantities)
    WHERE ended_at IS NULL;
