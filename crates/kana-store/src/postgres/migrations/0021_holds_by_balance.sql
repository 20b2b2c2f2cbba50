-- The holds that live are read of one balance. Those of others are not touched.
DROP INDEX holds_that_may_live;

CREATE INDEX holds_that_may_live ON holds (environment_id, user_key, balance_id, expires_at)
WHERE ended_at IS NULL;
