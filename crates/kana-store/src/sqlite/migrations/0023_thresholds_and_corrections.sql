-- When threshold events are stored, as JSON: [{"percent":80},{"left":10}]. Null: never.
ALTER TABLE features ADD COLUMN thresholds TEXT;

-- How often the counter was SET, and which thresholds it has reached: s2 p80 l10. Null: neither.
ALTER TABLE counters ADD COLUMN marks TEXT;

-- The lists of the counter log have the marks at their end, if there are any.
DROP VIEW current_counters;
CREATE VIEW current_counters AS
    SELECT environment_id, user_key, subscription_id, feature_id, terms, period_start, used, marks
    FROM (
        SELECT 0 AS place, * FROM counters
        UNION ALL
        SELECT log.id * 1000000 + one.key + 1, environment_id,
            unhex(replace(one.value ->> 0, '-', '')), unhex(replace(one.value ->> 1, '-', '')),
            one.value ->> 2, one.value ->> 3, one.value ->> 4, one.value ->> 5, one.value ->> 6
        FROM counter_log log, json_each(log.counters) one
    )
    GROUP BY environment_id, user_key, subscription_id, feature_id, terms, period_start
    HAVING place = max(place) AND used IS NOT NULL;

-- Usage that has reached a threshold of its feature, once for each threshold and counter.
CREATE TABLE threshold_events (
    environment_id  INTEGER NOT NULL,
    -- A UUID of version 7, so that they are ordered by arrival.
    id              BLOB    NOT NULL,
    user_key        BLOB    NOT NULL,
    feature_id      TEXT    NOT NULL,
    -- As JSON: {"percent":80} or {"left":10}.
    threshold       TEXT    NOT NULL,
    period_start    INTEGER NOT NULL,
    -- Null: usage never resets.
    period_end      INTEGER,
    -- The usage after what reached it, and what it was compared with.
    used            INTEGER NOT NULL CHECK (used >= 0),
    budget          INTEGER NOT NULL CHECK (budget >= 0),
    overage_enabled INTEGER NOT NULL CHECK (overage_enabled IN (0, 1)),
    at              INTEGER NOT NULL,
    PRIMARY KEY (environment_id, user_key, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX threshold_events_by_arrival ON threshold_events (environment_id, id);
