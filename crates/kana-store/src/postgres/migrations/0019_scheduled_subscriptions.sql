-- Subscriptions that are set to begin and to end, and trials. A copy of those that were not ended stands beside
-- their user as a sixth value, where it is not null.
ALTER TABLE subscriptions
    -- Whether its start lay ahead, the end that was asked for, the end that holds, and that of its trial, as JSON:
    -- [0 or 1, end, end, end]. Null: nothing was said.
    ADD COLUMN timing text;
