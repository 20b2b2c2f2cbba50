-- What counters have come to hold since they were last written to their own table: a row for each
-- commit of an environment, in the order of the commits. It is short, since what has been written
-- to the counters' table is deleted here.
CREATE TABLE counter_log (
    id             INTEGER PRIMARY KEY,
    -- The server's number of the commit.
    number         INTEGER NOT NULL,
    environment_id INTEGER NOT NULL,
    -- A list of [user key, subscription id, feature id, period start, used]. The last one of a
    -- counter holds.
    counters       TEXT    NOT NULL
) STRICT;

-- What every counter holds, for whoever looks with SQL: what the log says hides what the table says.
CREATE VIEW current_counters AS
    SELECT environment_id, user_key, subscription_id, feature_id, period_start, used
    FROM (
        SELECT 0 AS place, * FROM counters
        UNION ALL
        SELECT log.id * 1000000 + one.key + 1, environment_id,
            unhex(replace(one.value ->> 0, '-', '')), unhex(replace(one.value ->> 1, '-', '')),
            one.value ->> 2, one.value ->> 3, one.value ->> 4
        FROM counter_log log, json_each(log.counters) one
    )
    GROUP BY environment_id, user_key, subscription_id, feature_id, period_start
    HAVING place = max(place);
