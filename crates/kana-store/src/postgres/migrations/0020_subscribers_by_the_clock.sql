-- Who has a package at an instant: a subscription that is set to begin or to end is compared with the clock of
-- whoever asks. All of it stands in the index; the environment does so as well, since the planner does not see that
-- the sum says it.
DROP INDEX subscriptions_by_package;

CREATE INDEX subscriptions_by_package
    ON subscriptions ((environment_id + 0), package_id, uuid_send(user_key))
    INCLUDE (environment_id, user_key, status, started_at, timing) WHERE ended_at IS NULL;
