-- The program has moved its rows into blocks.
DROP TABLE events;

-- Every event as a row of its own. The functions are the program's, so that the sqlite3 shell cannot read
-- this view; kana export can.
CREATE VIEW events AS
    SELECT b.id + e.rowid - 1 AS id, b.environment_id,
        usage_event_column(e.value, 0) AS user_key,
        usage_event_column(e.value, 1) AS feature_id,
        usage_event_column(e.value, 2) AS action,
        usage_event_column(e.value, 3) AS delta,
        usage_event_column(e.value, 4) AS occurred_at,
        usage_event_column(e.value, 5) AS recorded_at,
        usage_event_column(e.value, 6) AS subscription_id,
        usage_event_column(e.value, 7) AS idempotency_key,
        usage_event_column(e.value, 8) AS metadata
    FROM event_blocks b,
        rarray(usage_events_of(b.id, b.events, b.recorded_from, b.users, b.data)) e;
