-- When a key stops being good. Null: never.
ALTER TABLE keys ADD COLUMN expires_at bigint;
