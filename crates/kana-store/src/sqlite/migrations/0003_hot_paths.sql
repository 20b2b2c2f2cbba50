-- Everything that a question wants to know of the subscriptions that run stands in the index itself,
-- so that the table is not read for it.
DROP INDEX subscriptions_that_run;

CREATE INDEX subscriptions_that_run
    ON subscriptions (environment_id, user_key, id, package_id, status, started_at, ended_at)
    WHERE ended_at IS NULL;

-- In which order idempotency keys are forgotten.
CREATE INDEX replays_by_age ON replays (environment_id, kept_at);
