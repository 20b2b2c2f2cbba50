-- Instants are milliseconds since 1970 in UTC. Enums stand by the contract's names, JSON as text,
-- so that it comes back as it was given. What the product names is compared byte by byte ("C").
-- Keys of users and ids of subscriptions are version 7 UUIDs: their order is the order of creation.
--
-- All of a user's facts stand under environment_id and user_key, and nothing refers from one user
-- to another, so that these tables can be spread by user.

CREATE TABLE app (
    id         bigint PRIMARY KEY CHECK (id = 1),
    name       text   NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE environments (
    id              bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text    NOT NULL UNIQUE CHECK (kind IN ('test', 'live')),
    -- Grows by one with every change of the environment's features and packages.
    catalog_version bigint  NOT NULL,
    -- Whether a public key and a user's id in a header are enough for the Client API.
    simple_mode     boolean NOT NULL DEFAULT true,
    -- Which table takes new idempotency keys, since when, and since when the one before it took them.
    -- The same in all environments.
    replays_table   smallint NOT NULL DEFAULT 0 CHECK (replays_table BETWEEN 0 AND 3),
    replays_since   bigint   NOT NULL DEFAULT 0,
    replays_earlier bigint   NOT NULL DEFAULT 0
);

CREATE TABLE keys (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id bigint NOT NULL REFERENCES environments (id),
    kind           text   NOT NULL CHECK (kind IN ('private', 'public')),
    hash           bytea  NOT NULL UNIQUE,
    last_four      text   NOT NULL,
    created_at     bigint NOT NULL,
    revoked_at     bigint
);

-- What user tokens are signed with. It cannot be hashed: signing needs it.
CREATE TABLE token_secrets (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id bigint NOT NULL REFERENCES environments (id),
    secret         bytea  NOT NULL,
    created_at     bigint NOT NULL,
    -- Null: it signs new tokens. Otherwise its tokens are good until then.
    valid_until    bigint
);

CREATE INDEX token_secrets_by_environment ON token_secrets (environment_id, id);

CREATE TABLE features (
    environment_id    bigint NOT NULL,
    id                text   COLLATE "C" NOT NULL,
    -- The order of creation.
    position          bigint NOT NULL,
    name              text   NOT NULL,
    type              text   NOT NULL CHECK (type IN ('BINARY', 'CONSUMABLE')),
    unit_label        text,
    unit_label_plural text,
    metadata          text,
    PRIMARY KEY (environment_id, id)
);

CREATE UNIQUE INDEX features_by_position ON features (environment_id, position);

CREATE TABLE packages (
    environment_id bigint  NOT NULL,
    id             text    COLLATE "C" NOT NULL,
    position       bigint  NOT NULL,
    name           text    NOT NULL,
    is_addon       boolean NOT NULL,
    status         text    NOT NULL CHECK (status IN ('DRAFT', 'PUBLISHED', 'ARCHIVED')),
    metadata       text,
    updated_at     bigint  NOT NULL,
    PRIMARY KEY (environment_id, id)
);

CREATE UNIQUE INDEX packages_by_position ON packages (environment_id, position);

CREATE TABLE package_features (
    environment_id  bigint  NOT NULL,
    package_id      text    COLLATE "C" NOT NULL,
    -- The order within the package.
    position        bigint  NOT NULL,
    feature_id      text    COLLATE "C" NOT NULL,
    name            text,
    -- Null: unlimited.
    usage_limit     bigint  CHECK (usage_limit >= 0),
    -- Null: never.
    reset_period    text    CHECK (reset_period IN ('DAY', 'MONTH', 'YEAR')),
    overage_enabled boolean NOT NULL,
    PRIMARY KEY (environment_id, package_id, position)
);

-- The terms of a package's features since it was published, for features whose terms have changed.
-- Ordered by position, oldest first; the last ones are current.
CREATE TABLE package_feature_terms (
    environment_id  bigint  NOT NULL,
    package_id      text    COLLATE "C" NOT NULL,
    feature_id      text    COLLATE "C" NOT NULL,
    position        bigint  NOT NULL,
    since           bigint  NOT NULL,
    -- The terms number.
    terms           bigint  NOT NULL CHECK (terms >= 0),
    -- False while the package did not have the feature.
    is_given        boolean NOT NULL,
    usage_limit     bigint  CHECK (usage_limit >= 0),
    reset_period    text    CHECK (reset_period IN ('DAY', 'MONTH', 'YEAR')),
    overage_enabled boolean NOT NULL,
    PRIMARY KEY (environment_id, package_id, feature_id, position)
);

-- The base packages that an add-on may be added to; none means any.
CREATE TABLE package_bases (
    environment_id  bigint NOT NULL,
    package_id      text   COLLATE "C" NOT NULL,
    position        bigint NOT NULL,
    base_package_id text   COLLATE "C" NOT NULL,
    PRIMARY KEY (environment_id, package_id, position)
);

CREATE TABLE users (
    environment_id        bigint  NOT NULL,
    -- Ours and permanent; everything else about the user is stored under it.
    key                   uuid    NOT NULL,
    -- The product's own, which can change.
    id                    text    COLLATE "C" NOT NULL,
    billing_id            text,
    name                  text,
    email                 text,
    metadata              text,
    -- What is decided on all the time stands here, too, since whoever decides on a user locks this row:
    -- one lookup brings it with the lock, and one change of one row writes it.
    --
    -- The subscriptions that run, once more: [[id, package_id, status, started_at], ...].
    running_subscriptions text,
    -- The counters that were written last, which hide what the table of counters says of them:
    -- [[subscription_id, feature_id, terms, period_start, used], ...].
    recent_counters       text,
    -- Whether the table of counters may have any of the user.
    has_older_counters    boolean NOT NULL DEFAULT true,
    PRIMARY KEY (environment_id, key)
-- Rows change in place: room in each page keeps a changed one beside its index entries.
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- The id first: by the environment alone the planner would take either index of a table that is empty.
CREATE UNIQUE INDEX users_by_id ON users (id, environment_id);

CREATE TABLE subscriptions (
    environment_id bigint NOT NULL,
    user_key       uuid   NOT NULL,
    id             uuid   NOT NULL,
    package_id     text   COLLATE "C" NOT NULL,
    status         text   NOT NULL,
    started_at     bigint NOT NULL,
    -- Null: it runs.
    ended_at       bigint,
    PRIMARY KEY (environment_id, user_key, id)
);

-- Not unique, since a table that is spread by user could not see to that. The ids are ours.
CREATE INDEX subscriptions_by_id ON subscriptions (environment_id, id);

-- Only those that run can grant anything now. To find them costs the same however many have ended.
CREATE INDEX subscriptions_that_run ON subscriptions (environment_id, user_key)
    WHERE ended_at IS NULL;

-- Whom a change of a package touches. The sum keeps the planner from finding a user's subscriptions by
-- this index while it knows nothing of the table.
CREATE INDEX subscriptions_by_package ON subscriptions ((environment_id + 0), package_id)
    INCLUDE (user_key, status) WHERE ended_at IS NULL;

-- The order in which subscriptions are listed.
CREATE INDEX subscriptions_by_start ON subscriptions (environment_id, started_at, id);

-- Counters that gave way to others of their user.
CREATE TABLE counters (
    environment_id  bigint NOT NULL,
    user_key        uuid   NOT NULL,
    subscription_id uuid   NOT NULL,
    feature_id      text   COLLATE "C" NOT NULL,
    -- The terms number that it was counted under. It grows with each change of the reset period.
    terms           bigint NOT NULL CHECK (terms >= 0),
    -- The earliest instant (-62167219200000) stands for the sum of the folded counters of this terms
    -- number.
    period_start    bigint NOT NULL,
    used            bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (environment_id, user_key, subscription_id, feature_id, terms, period_start)
);

-- What every counter holds, for whoever looks with SQL.
CREATE VIEW current_counters AS
    SELECT u.environment_id, u.key AS user_key, (one ->> 0)::uuid AS subscription_id,
        (one ->> 1) COLLATE "C" AS feature_id, (one ->> 2)::bigint AS terms,
        (one ->> 3)::bigint AS period_start, (one ->> 4)::bigint AS used
    FROM users u CROSS JOIN LATERAL json_array_elements(u.recent_counters::json) one
    UNION ALL
    SELECT environment_id, user_key, subscription_id, feature_id, terms, period_start, used
    FROM counters older
    WHERE NOT EXISTS (
        SELECT FROM (
            SELECT recent_counters FROM users
            WHERE environment_id = older.environment_id AND key = older.user_key OFFSET 0) u
        CROSS JOIN LATERAL json_array_elements(u.recent_counters::json) one
        WHERE (one ->> 0)::uuid = older.subscription_id AND one ->> 1 = older.feature_id
            AND (one ->> 2)::bigint = older.terms
            AND (one ->> 3)::bigint = older.period_start);

-- Features that were ever used, counted or not. An index of counters or events by feature would be
-- written with every one of them; this grows with the catalog only.
CREATE TABLE features_with_usage (
    environment_id bigint NOT NULL,
    feature_id     text   COLLATE "C" NOT NULL,
    PRIMARY KEY (environment_id, feature_id)
);

-- The log, which only grows, and which nothing that is decided reads. A month of arrival each has
-- a partition of its own, so that an old month goes in one piece; what has none goes to the default
-- partition, so that no event is ever refused. It has no key: rows without one are the cheapest.
CREATE TABLE events (
    environment_id  bigint NOT NULL,
    user_key        uuid   NOT NULL,
    feature_id      text   COLLATE "C" NOT NULL,
    action          text   NOT NULL CHECK (action IN ('ADD', 'SET')),
    delta           bigint NOT NULL,
    occurred_at     bigint NOT NULL,
    recorded_at     bigint NOT NULL,
    -- Null: nothing granted the feature, and the event was not counted.
    subscription_id uuid,
    idempotency_key text   COLLATE "C",
    metadata        text
) PARTITION BY RANGE (recorded_at);

CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Creates the partition for the month of an instant, unless it exists, and moves the month's events
-- from the default partition to it. Returns the month's first instant and the next month's.
--
-- If the default partition has very many events of the month, they stay there, and no partition is
-- created: recording would wait for the move.
CREATE FUNCTION make_events_partition(at bigint, OUT from_ms bigint, OUT to_ms bigint)
LANGUAGE plpgsql AS $$
DECLARE
    month     timestamp := date_trunc('month', to_timestamp(at / 1000) AT TIME ZONE 'UTC');
    partition text      := 'events_' || to_char(month, 'YYYY_MM');
    moved_max CONSTANT bigint := 100000;
    strays    bigint;
BEGIN
    from_ms := extract(epoch FROM month)::bigint * 1000;
    to_ms := extract(epoch FROM month + interval '1 month')::bigint * 1000;
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN;
    END IF;
    -- One node at a time. ONLY, since a lock on each partition would wait for its vacuum, which takes
    -- long.
    LOCK TABLE ONLY events IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT count(*) INTO strays FROM (
        SELECT FROM events_default WHERE recorded_at >= from_ms AND recorded_at < to_ms
        LIMIT moved_max + 1) s;
    IF to_regclass(partition) IS NOT NULL OR strays > moved_max THEN
        RETURN;
    END IF;
    -- Keeps new events out of the default partition meanwhile.
    LOCK TABLE events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', partition);
    EXECUTE format(
        'WITH moved AS (DELETE FROM events_default WHERE recorded_at >= %s AND recorded_at < %s
                        RETURNING *)
         INSERT INTO %I SELECT * FROM moved',
        from_ms, to_ms, partition);
    EXECUTE format(
        'ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
        partition, from_ms, to_ms);
END
$$;

-- Deletes the events of the months before that of an instant. Returns whether there may be more to
-- delete now: the default partition is cleared in pieces of at_most rows.
--
-- A partition is truncated, which locks nothing else. Dropping it needs a lock on all events, which
-- recording would wait for, so an empty partition is dropped only when events are not in use. A
-- partition that is being read is left for the next call.
CREATE FUNCTION forget_events(before bigint, at_most bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    month     timestamp := date_trunc('month', to_timestamp(before / 1000) AT TIME ZONE 'UTC');
    month_ms  bigint    := extract(epoch FROM month)::bigint * 1000;
    partition text;
    is_empty  boolean;
    empty     text[]    := '{}';
    deleted   bigint;
BEGIN
    -- One node at a time.
    IF NOT pg_try_advisory_xact_lock(1801547362, 1) THEN
        RETURN false;
    END IF;
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
            AND c.relname < 'events_' || to_char(month, 'YYYY_MM')
        ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', partition) INTO is_empty;
            IF is_empty THEN
                empty := empty || partition;
            ELSE
                EXECUTE format('TRUNCATE %I', partition);
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            RAISE LOG 'the events of % are being read and will be forgotten later', partition;
        END;
    END LOOP;
    IF array_length(empty, 1) > 0 THEN
        BEGIN
            LOCK TABLE events IN ACCESS EXCLUSIVE MODE NOWAIT;
            FOREACH partition IN ARRAY empty LOOP
                EXECUTE format('DROP TABLE %I', partition);
            END LOOP;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END IF;
    DELETE FROM events_default WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM events_default WHERE recorded_at < month_ms LIMIT at_most));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted = at_most;
END
$$;

-- The request and the answer of each idempotency key. Keys are deleted a table at a time, since a
-- deleted row slows down look-ups until every older snapshot of the server has ended.
--
-- Four tables take turns. One takes new keys, the two before it are only read, and the fourth is
-- retired: it is emptied before its turn comes. So a key is looked up in three tables.
CREATE TABLE replays_0 (
    environment_id  bigint NOT NULL,
    idempotency_key text   COLLATE "C" NOT NULL,
    user_key        uuid   NOT NULL,
    feature_id      text   COLLATE "C" NOT NULL,
    action          text   NOT NULL,
    delta           bigint NOT NULL,
    occurred_at     bigint,
    answer          text   NOT NULL,
    kept_at         bigint NOT NULL,
    PRIMARY KEY (environment_id, idempotency_key)
);

CREATE TABLE replays_1 (LIKE replays_0 INCLUDING ALL);
CREATE TABLE replays_2 (LIKE replays_0 INCLUDING ALL);
CREATE TABLE replays_3 (LIKE replays_0 INCLUDING ALL);

-- The keys of all tables but the retired one.
CREATE VIEW replays AS
    SELECT * FROM replays_0
    WHERE (SELECT replays_table FROM environments WHERE kind = 'live') <> 3
    UNION ALL
    SELECT * FROM replays_1
    WHERE (SELECT replays_table FROM environments WHERE kind = 'live') <> 0
    UNION ALL
    SELECT * FROM replays_2
    WHERE (SELECT replays_table FROM environments WHERE kind = 'live') <> 1
    UNION ALL
    SELECT * FROM replays_3
    WHERE (SELECT replays_table FROM environments WHERE kind = 'live') <> 2;

-- Empties the retired table if it has rows. Otherwise moves on to the next table, once the present one
-- has taken new keys for half the time that keys are kept, and all keys of the table that retires are
-- older than that time. So a key is kept for at least that time, and for about one and a half times as
-- long at most.
--
-- No writer is at work while the tables change: each writer shares the catalog lock of an environment,
-- and this function takes those locks alone. So a writer that stores a key has looked it up among all
-- keys that were stored before.
CREATE FUNCTION forget_old_keys(before bigint, now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    present  environments;
    next     smallint;
    is_empty boolean;
    -- Allows for nodes whose clocks differ.
    slack CONSTANT bigint := 3600000;
BEGIN
    -- One node at a time.
    IF NOT pg_try_advisory_xact_lock(1801547362, 2) THEN
        RETURN;
    END IF;
    SELECT * INTO present FROM environments WHERE kind = 'live';
    IF NOT FOUND THEN
        RETURN;
    END IF;
    next := (present.replays_table + 1) % 4;
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', 'replays_' || next) INTO is_empty;
    IF NOT is_empty THEN
        EXECUTE format('TRUNCATE %I', 'replays_' || next);
        RETURN;
    END IF;
    IF now - present.replays_since < (now - before) / 2
        OR present.replays_earlier > before - slack THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(1801547361, (e.id % 2147483647)::int)
        FROM (SELECT id FROM environments ORDER BY id) e;
    UPDATE environments SET
        replays_table = next, replays_since = now, replays_earlier = present.replays_since;
END
$$;
