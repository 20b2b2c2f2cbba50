-- How much was used on a day, by feature.
CREATE TABLE usage_by_day (
    environment_id bigint NOT NULL,
    -- Of the time at which the usage occurred: days since 1970-01-01 in UTC.
    day            bigint NOT NULL,
    feature_id     text   COLLATE "C" NOT NULL,
    events         bigint NOT NULL CHECK (events >= 0),
    -- By how much the events changed counters.
    amount         bigint NOT NULL,
    -- The events that nothing counted.
    uncounted      bigint NOT NULL CHECK (uncounted BETWEEN 0 AND events),
    PRIMARY KEY (environment_id, day, feature_id)
-- The rows of today change once a minute.
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- How much was used on a day, of all features together, whose amounts do not add up.
CREATE TABLE usage_totals (
    environment_id bigint NOT NULL,
    day            bigint NOT NULL,
    events         bigint NOT NULL,
    uncounted      bigint NOT NULL,
    PRIMARY KEY (environment_id, day)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- What the events of a commit add to usage_by_day: an array of each column. A commit adds one row, and
-- rows are never changed, so no writer waits. A job adds them to usage_by_day and deletes them.
CREATE TABLE usage_deltas (
    environment_id bigint   NOT NULL,
    days           bigint[] NOT NULL,
    features       text[]   COLLATE "C" NOT NULL,
    events         bigint[] NOT NULL,
    amounts        bigint[] NOT NULL,
    uncounted      bigint[] NOT NULL
-- All rows are deleted soon. The space is used again and not given back, which would need a lock that
-- writers wait for.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    vacuum_truncate = false);

CREATE INDEX usage_deltas_by_environment ON usage_deltas (environment_id);

-- The usage by day with what is not added yet, for whoever looks with SQL.
CREATE VIEW current_usage_by_day AS
    SELECT environment_id, day, feature_id, sum(events)::bigint AS events,
        greatest(least(sum(amount), 9223372036854775807), -9223372036854775808)::bigint AS amount,
        sum(uncounted)::bigint AS uncounted
    FROM (
        SELECT environment_id, day, feature_id, events, amount, uncounted FROM usage_by_day
        UNION ALL
        SELECT d.environment_id, u.*
        FROM usage_deltas d CROSS JOIN LATERAL
            unnest(d.days, d.features, d.events, d.amounts, d.uncounted) u
    ) AS known (environment_id, day, feature_id, events, amount, uncounted)
    GROUP BY environment_id, day, feature_id;

-- The first day whose usage is all in usage_by_day. Without a row, that is so of every day.
CREATE TABLE usage_since (
    environment_id bigint NOT NULL PRIMARY KEY,
    day            bigint NOT NULL
);

-- Usage of a period that has reached a share of its budget. Once for each share, also if it does so
-- again, until the period has ended.
CREATE TABLE limit_crossings (
    environment_id bigint NOT NULL,
    user_key       uuid   NOT NULL,
    feature_id     text   COLLATE "C" NOT NULL,
    -- The latest instant (253402300799999): the period never ends.
    period_end     bigint NOT NULL,
    -- In percent.
    share          bigint NOT NULL CHECK (share IN (80, 100)),
    crossed_at     bigint NOT NULL,
    PRIMARY KEY (environment_id, user_key, feature_id, period_end, share)
);

CREATE INDEX limit_crossings_by_time ON limit_crossings (environment_id, crossed_at);
CREATE INDEX limit_crossings_by_end ON limit_crossings (environment_id, period_end);

-- Usage can have been recorded for five minutes ahead, and so for the next day.
INSERT INTO usage_since
    SELECT DISTINCT environment_id, (extract(epoch FROM now())::bigint + 300) / 86400 + 1
    FROM features_with_usage;
