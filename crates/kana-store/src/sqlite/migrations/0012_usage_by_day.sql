-- How much was used on a day, by feature.
CREATE TABLE usage_by_day (
    environment_id INTEGER NOT NULL,
    -- Of the time at which the usage occurred: days since 1970-01-01 in UTC.
    day            INTEGER NOT NULL,
    feature_id     TEXT    NOT NULL,
    events         INTEGER NOT NULL CHECK (events >= 0),
    -- By how much the events changed counters.
    amount         INTEGER NOT NULL,
    -- The events that nothing counted.
    uncounted      INTEGER NOT NULL CHECK (uncounted BETWEEN 0 AND events),
    PRIMARY KEY (environment_id, day, feature_id)
) STRICT, WITHOUT ROWID;

-- How much was used on a day, of all features together, whose amounts do not add up.
CREATE TABLE usage_totals (
    environment_id INTEGER NOT NULL,
    day            INTEGER NOT NULL,
    events         INTEGER NOT NULL,
    uncounted      INTEGER NOT NULL,
    PRIMARY KEY (environment_id, day)
) STRICT, WITHOUT ROWID;

-- What the events of the commit add to usage_by_day: a list of
-- [feature id, day, events, amount, uncounted]. Null: there were none.
ALTER TABLE counter_log ADD COLUMN usage TEXT;

-- The last row of counter_log whose usage has been added to usage_by_day; 0: none that is there. There
-- is one row.
CREATE TABLE usage_folding (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    through INTEGER NOT NULL
) STRICT;

INSERT INTO usage_folding VALUES (1, 0);

-- The usage by day with what is not added yet, for queries by hand.
CREATE VIEW current_usage_by_day AS
    SELECT environment_id, day, feature_id, sum(events) AS events, sum(amount) AS amount,
        sum(uncounted) AS uncounted
    FROM (
        SELECT * FROM usage_by_day
        UNION ALL
        SELECT environment_id, one.value ->> 1, one.value ->> 0, one.value ->> 2, one.value ->> 3,
            one.value ->> 4
        FROM counter_log log, json_each(log.usage) one
        WHERE log.id > (SELECT through FROM usage_folding)
    )
    GROUP BY environment_id, day, feature_id;

-- The first day whose usage is all in usage_by_day. Without a row, that is so of every day.
CREATE TABLE usage_since (
    environment_id INTEGER NOT NULL PRIMARY KEY,
    day            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Usage of a period that has reached a share of its budget. Once for each share, also if it does so
-- again, until the period has ended.
CREATE TABLE limit_crossings (
    environment_id INTEGER NOT NULL,
    user_key       BLOB    NOT NULL,
    feature_id     TEXT    NOT NULL,
    -- The latest instant (253402300799999): the period never ends.
    period_end     INTEGER NOT NULL,
    -- In percent.
    share          INTEGER NOT NULL CHECK (share IN (80, 100)),
    crossed_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, user_key, feature_id, period_end, share)
) STRICT, WITHOUT ROWID;

CREATE INDEX limit_crossings_by_time ON limit_crossings (environment_id, crossed_at);
CREATE INDEX limit_crossings_by_end ON limit_crossings (environment_id, period_end);

-- Usage can have been recorded for five minutes ahead, and so for the next day.
INSERT INTO usage_since
    SELECT DISTINCT environment_id, (unixepoch() + 300) / 86400 + 1 FROM features_with_usage;
