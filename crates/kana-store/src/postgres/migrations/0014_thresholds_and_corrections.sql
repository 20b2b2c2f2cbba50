-- When threshold events are stored, as JSON: [{"percent":80},{"left":10}]. Null: never.
ALTER TABLE features ADD COLUMN thresholds text;

-- How often the counter was SET, and which thresholds it has reached: s2 p80 l10. Null: neither.
ALTER TABLE counters ADD COLUMN marks text;

-- Beside their users, counters have the marks at their end, if there are any.
DROP VIEW current_counters;
CREATE VIEW current_counters AS
    SELECT u.environment_id, u.key AS user_key, (one ->> 0)::uuid AS subscription_id,
        (one ->> 1) COLLATE "C" AS feature_id, (one ->> 2)::bigint AS terms,
        (one ->> 3)::bigint AS period_start, (one ->> 4)::bigint AS used, one ->> 5 AS marks
    FROM users u CROSS JOIN LATERAL json_array_elements(u.recent_counters::json) one
    UNION ALL
    SELECT environment_id, user_key, subscription_id, feature_id, terms, period_start, used, marks
    FROM counters older
    WHERE NOT EXISTS (
        SELECT FROM (
            SELECT recent_counters FROM users
            WHERE environment_id = older.environment_id AND key = older.user_key OFFSET 0) u
        CROSS JOIN LATERAL json_array_elements(u.recent_counters::json) one
        WHERE (one ->> 0)::uuid = older.subscription_id AND one ->> 1 = older.feature_id
            AND (one ->> 2)::bigint = older.terms
            AND (one ->> 3)::bigint = older.period_start);

-- An entry that takes back what an earlier event has added. Rows that are there need not be looked at:
-- they satisfy the check of before.
ALTER TABLE events DROP CONSTRAINT events_action_check;
ALTER TABLE events ADD CONSTRAINT events_action_check
    CHECK (action IN ('ADD', 'SET', 'VOID')) NOT VALID;

-- Usage that has reached a threshold of its feature, once for each threshold and counter.
CREATE TABLE threshold_events (
    environment_id  bigint  NOT NULL,
    -- A UUID of version 7, so that they are ordered by arrival.
    id              uuid    NOT NULL,
    user_key        uuid    NOT NULL,
    feature_id      text    COLLATE "C" NOT NULL,
    -- As JSON: {"percent":80} or {"left":10}.
    threshold       text    NOT NULL,
    period_start    bigint  NOT NULL,
    -- Null: usage never resets.
    period_end      bigint,
    -- The usage after what reached it, and what it was compared with.
    used            bigint  NOT NULL CHECK (used >= 0),
    budget          bigint  NOT NULL CHECK (budget >= 0),
    overage_enabled boolean NOT NULL,
    at              bigint  NOT NULL,
    PRIMARY KEY (environment_id, user_key, id)
);

-- The sum keeps the planner from looking for a user's events by this index.
CREATE INDEX threshold_events_by_arrival ON threshold_events ((environment_id + 0), id);
