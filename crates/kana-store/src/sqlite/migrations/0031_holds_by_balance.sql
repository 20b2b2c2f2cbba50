-- The holds that live are read of one balance. Those of others are not touched. By the index of all that may live
-- it is still known whether there are any.
CREATE INDEX holds_by_balance ON holds (environment_id, user_key, balance_id, expires_at)
WHERE ended_at IS NULL;
