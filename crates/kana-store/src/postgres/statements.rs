//! Every statement of this engine, so that one test can ask the planner about all of them: each
//! must find its rows by an index. Many keys stand in one array, many rows in one array per column.
//!
//! Each key of an array is looked up by itself (`CROSS JOIN LATERAL`, and `OFFSET 0` so that it stays
//! so). Left to itself, the planner walks a table that was empty when it planned, and goes on to do so
//! while the table fills. Whoever asks sees to it that no key stands twice in an array.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*
        /// Every statement by its name.
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $sql)),*];
    };
}

/// Returns our name for a statement, which says nothing of what was asked.
pub(super) fn name_of(statement: &str) -> &'static str {
    let known = ALL.iter().find(|(_, text)| *text == statement);
    known.map_or("OTHER", |(name, _)| *name)
}

/// A subscription grants something at an instant. All of it stands in the index by package. Only one that is
/// set to begin or to end has a timing to be read.
macro_rules! grants_at {
    ($now:literal) => {
        concat!(
            "ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING') AND (timing IS NULL
                OR ((timing::json ->> 0 = '0' OR started_at <= ",
            $now,
            "::bigint) AND coalesce((timing::json ->> 2)::bigint > ",
            $now,
            "::bigint, true)))"
        )
    };
}

/// Looks up keys in three tables.
macro_rules! replays_in {
    ($newest:literal, $middle:literal, $oldest:literal) => {
        concat!(
            "SELECT r.idempotency_key, r.user_key, r.feature_id, r.action, r.delta, r.occurred_at,
                r.answer, r.kept_at
            FROM unnest($2::text[]) k (key)
            CROSS JOIN LATERAL (
                SELECT * FROM ",
            $newest,
            " WHERE environment_id = $1 AND idempotency_key = k.key
                UNION ALL SELECT * FROM ",
            $middle,
            " WHERE environment_id = $1 AND idempotency_key = k.key
                UNION ALL SELECT * FROM ",
            $oldest,
            " WHERE environment_id = $1 AND idempotency_key = k.key OFFSET 0) r"
        )
    };
}

/// Deletes keys in the order of the array, so that two transactions that delete the same keys do
/// not deadlock.
macro_rules! forget_keys_in {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY(
                SELECT r.ctid FROM unnest($2::text[]) k (key)
                CROSS JOIN LATERAL (
                    SELECT ctid FROM ",
            $table,
            " WHERE environment_id = $1 AND idempotency_key = k.key
                    OFFSET 0 FOR UPDATE) r))"
        )
    };
}

macro_rules! keep_replays_in {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (environment_id, idempotency_key, user_key, feature_id, action, delta, occurred_at,
                answer, kept_at)
            SELECT $1, n.*
            FROM unnest($2::text[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                        $7::bigint[], $8::text[], $9::bigint[]) n"
        )
    };
}

/// Identifies the transaction to the server, and takes its number.
macro_rules! own_transaction {
    () => {
        "SELECT pg_current_xact_id()::text AS number,
            left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline,
            pg_postmaster_start_time() AS started_at"
    };
}

/// Writes counters beside their users: keys, places, counters, and whether there are older ones.
///
/// A row that was locked is where it was found, and need not be looked up again. It is asked whose
/// it is in a way in which no index answers, so that the planner takes the place.
macro_rules! set_recent_counters {
    () => {
        "UPDATE users u SET
                recent_counters = n.recent_counters, has_older_counters = n.has_older_counters
            FROM (
                SELECT k.key, k.recent_counters, k.has_older_counters,
                    coalesce(
                        k.place::tid,
                        (SELECT ctid FROM users WHERE environment_id = $1 AND key = k.key)) AS place
                FROM unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[])
                    AS k (key, place, recent_counters, has_older_counters)) n
            WHERE u.ctid = n.place AND (u.environment_id, u.key) IS NOT DISTINCT FROM ($1, n.key)
            RETURNING 1"
    };
}

/// Divides by zero unless as many rows were written as there are users: a row that has moved would
/// lose what was counted. The commit may have been sent already, so only the server can keep it from
/// happening.
macro_rules! all_were_written {
    () => {
        "SELECT 1 / (count(*) = cardinality($2::uuid[]))::int FROM written"
    };
}

macro_rules! log_events {
    ($columns:literal) => {
        concat!(
            "INSERT INTO events
            (environment_id, user_key, feature_id, action, delta, occurred_at, recorded_at,
             subscription_id, idempotency_key, metadata)
        SELECT $1, n.* FROM unnest(",
            $columns,
            ") n"
        )
    };
}

macro_rules! append_usage {
    ($columns:literal) => {
        concat!(
            "INSERT INTO usage_deltas (environment_id, days, features, events, amounts, uncounted)
        VALUES ($1, ",
            $columns,
            ")"
        )
    };
}

/// The database's clock when the statement began, in milliseconds. The planner can look for it in an
/// index, which it does not do for `clock_timestamp()`.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM statement_timestamp()) * 1000)::bigint"
    };
}

/// Reads a page of the audit log, and no more rows once those before have so many bytes. Each row says
/// how many there would be.
macro_rules! audit_log {
    ($filter:literal) => {
        concat!(
            "SELECT id, at, actor, action, kind, subject, before, after, request_id, found FROM (
                SELECT *, count(*) OVER () AS found, sum(coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0))
                    OVER (ORDER BY at DESC, id DESC
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes
                FROM (
                    SELECT * FROM audit_log
                    WHERE environment_id = $1 AND (at, id) < ($2, $3) AND at >= $4",
            $filter,
            "
                    ORDER BY at DESC, id DESC LIMIT $5) entry) page
            WHERE coalesce(bytes, 0) <= $6::bigint"
        )
    };
}

/// The deltas of an environment that are not folded: day, feature, events, amount, uncounted events.
macro_rules! unfolded_usage {
    () => {
        "SELECT u.* FROM usage_deltas d CROSS JOIN LATERAL
            unnest(d.days, d.features, d.events, d.amounts, d.uncounted)
                AS u (day, feature_id, events, amount, uncounted)
        WHERE d.environment_id = $1"
    };
}

/// The sum of amounts. Where it does not fit into 64 bits, it stays at the smallest or largest number.
macro_rules! sum_of_amounts {
    () => {
        "greatest(least(sum(amount), 9223372036854775807), -9223372036854775808)::bigint"
    };
}

statements! {
    APP = "SELECT name FROM app WHERE id = 1";
    CREATE_APP = "
        INSERT INTO app (id, name, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING
        RETURNING id";
    CREATE_ENVIRONMENTS = "
        INSERT INTO environments (kind, catalog_version)
        SELECT kind, 0 FROM unnest($1::text[]) WITH ORDINALITY AS e (kind, position)
        ORDER BY position";
    ENVIRONMENTS = "SELECT id, kind FROM environments ORDER BY id";
    ADD_KEYS = "
        INSERT INTO keys
            (environment_id, kind, hash, last_four, created_at, name, created_by, expires_at)
        SELECT e.id, k.kind, k.hash, k.last_four, k.created_at, k.name, k.created_by, k.expires_at
        FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::text[],
                $7::text[], $8::bigint[])
            WITH ORDINALITY AS k (environment, kind, hash, last_four, created_at, name, created_by,
                expires_at, position)
        JOIN environments e ON e.kind = k.environment
        ORDER BY k.position
        RETURNING id, environment_id";
    KEYS = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at,
            k.name, k.created_by, k.last_used_at, k.expires_at
        FROM keys k JOIN environments e ON e.id = k.environment_id ORDER BY k.id";
    KEY_BY_HASH = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at,
            k.name, k.created_by, k.last_used_at, k.expires_at
        FROM keys k JOIN environments e ON e.id = k.environment_id WHERE k.hash = $1";
    KEY_BY_ID = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at,
            k.name, k.created_by, k.last_used_at, k.expires_at
        FROM keys k JOIN environments e ON e.id = k.environment_id WHERE k.id = $1";
    NOTE_KEY_USE = "
        UPDATE keys SET last_used_at = $2
        WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
    REVOKE_KEY = "
        UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id";

    ADMINS = "
        SELECT id, email, role, password_hash IS NOT NULL, created_at, last_sign_in_at
        FROM admins ORDER BY id";
    CREDENTIALS = "
        SELECT id, email, role, password_hash IS NOT NULL, created_at, last_sign_in_at,
            password_hash
        FROM admins WHERE email_folded = $1";
    CREDENTIALS_BY_ID = "
        SELECT id, email, role, password_hash IS NOT NULL, created_at, last_sign_in_at,
            password_hash
        FROM admins WHERE id = $1";
    // Whoever changes people holds this until it commits, so each sees the changes before it.
    LOCK_APP = "SELECT name FROM app WHERE id = 1 FOR NO KEY UPDATE";
    ADD_ADMIN = "
        INSERT INTO admins (app_id, email, email_folded, role, created_at)
        VALUES (1, $1, $2, $3, $4) ON CONFLICT (email_folded) DO NOTHING RETURNING id";
    SET_PASSWORD = "UPDATE admins SET password_hash = $2 WHERE id = $1";
    SET_ROLE = "UPDATE admins SET role = $2 WHERE id = $1";
    NOTE_SIGN_IN = "UPDATE admins SET last_sign_in_at = $2 WHERE id = $1";
    REMOVE_ADMIN = "DELETE FROM admins WHERE id = $1";
    SESSION = "
        SELECT a.id, a.email, a.role, a.password_hash IS NOT NULL, a.created_at, a.last_sign_in_at,
            s.hash, s.admin_id, s.created_at, s.last_seen_at, s.ends_at, s.address, s.browser,
            app.name
        FROM sessions s JOIN admins a ON a.id = s.admin_id JOIN app ON app.id = a.app_id
        WHERE s.hash = $1";
    SESSIONS_OF = "
        SELECT hash, admin_id, created_at, last_seen_at, ends_at, address, browser
        FROM sessions WHERE admin_id = $1 ORDER BY created_at DESC, hash";
    // All but the newest.
    END_OLDEST_SESSIONS = "
        DELETE FROM sessions WHERE hash = ANY (ARRAY(
            SELECT hash FROM sessions WHERE admin_id = $1 ORDER BY created_at DESC OFFSET $2))";
    ADD_SESSION = "
        INSERT INTO sessions (hash, admin_id, created_at, last_seen_at, ends_at, address, browser)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    NOTE_SEEN = "
        UPDATE sessions SET last_seen_at = $2, ends_at = $3 WHERE hash = $1 AND last_seen_at < $2";
    END_SESSION = "DELETE FROM sessions WHERE hash = $1";
    END_SESSIONS = "
        DELETE FROM sessions WHERE admin_id = $1 AND ($2::bytea IS NULL OR hash <> $2)";
    FORGET_SESSIONS = "
        DELETE FROM sessions WHERE hash = ANY (ARRAY(
            SELECT hash FROM sessions WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2))
        RETURNING ends_at";
    OPEN_INVITATIONS = "
        SELECT count(*) FROM invitations WHERE expires_at > $1 AND used_at IS NULL";
    ADD_INVITATION = "
        INSERT INTO invitations (hash, admin_id, role, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)";
    INVITATION = "
        SELECT a.id, a.email, a.role, a.password_hash IS NOT NULL, a.created_at, a.last_sign_in_at,
            i.role
        FROM invitations i LEFT JOIN admins a ON a.id = i.admin_id
        WHERE i.hash = $1 AND i.used_at IS NULL AND i.expires_at > $2";
    USE_INVITATION = "UPDATE invitations SET used_at = $2 WHERE hash = $1";
    WITHDRAW_INVITATIONS = "DELETE FROM invitations WHERE admin_id = $1";
    FORGET_INVITATIONS = "
        DELETE FROM invitations WHERE hash = ANY (ARRAY(
            SELECT hash FROM invitations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2))
        RETURNING expires_at";
    CLAIM_FORM = "
        INSERT INTO sent_forms (hash, sent_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
        RETURNING sent_at";
    FORM = "SELECT led_to FROM sent_forms WHERE hash = $1";
    SETTLE_FORM = "UPDATE sent_forms SET led_to = $2 WHERE hash = $1";
    GIVE_UP_FORM = "DELETE FROM sent_forms WHERE hash = $1";
    FORGET_FORMS = "
        DELETE FROM sent_forms WHERE hash = ANY (ARRAY(
            SELECT hash FROM sent_forms WHERE sent_at <= $1 ORDER BY sent_at LIMIT $2))
        RETURNING sent_at";
    SET_APP_NAME = "UPDATE app SET name = $1 WHERE id = 1";

    SIMPLE_MODE = "SELECT id, simple_mode FROM environments WHERE kind = $1";
    LOCK_SIMPLE_MODE = "
        SELECT id, simple_mode FROM environments WHERE kind = $1 FOR NO KEY UPDATE";
    SET_SIMPLE_MODE = "UPDATE environments SET simple_mode = $2 WHERE kind = $1 RETURNING id";
    TOKEN_SECRETS = "
        SELECT secret, valid_until FROM token_secrets WHERE environment_id = $1 ORDER BY id DESC";
    // A change of signing secrets holds this until it commits, so each sees the changes before it.
    LOCK_TOKEN_SECRETS = "SELECT id FROM environments WHERE id = $1 FOR NO KEY UPDATE";
    LOCK_TOKEN_SECRETS_BY_KIND = "SELECT id FROM environments WHERE kind = $1 FOR NO KEY UPDATE";
    PROVIDE_TOKEN_SECRET = "
        INSERT INTO token_secrets (environment_id, secret, created_at)
        SELECT $1, $2, $3 WHERE NOT EXISTS (
            SELECT 1 FROM token_secrets WHERE environment_id = $1 AND valid_until IS NULL)";
    SIGNING_TOKEN_SECRET = "
        SELECT secret FROM token_secrets WHERE environment_id = $1 AND valid_until IS NULL
        ORDER BY id DESC LIMIT 1";
    ADD_TOKEN_SECRET_BY_KIND = "
        INSERT INTO token_secrets (environment_id, secret, created_at)
        SELECT id, $2, $3 FROM environments WHERE kind = $1
        RETURNING id";
    FORGET_TOKEN_SECRETS = "
        DELETE FROM token_secrets
        WHERE environment_id = (SELECT id FROM environments WHERE kind = $1) AND valid_until <= $2";
    RETIRE_TOKEN_SECRETS = "
        UPDATE token_secrets SET valid_until = least(valid_until, $2)
        WHERE environment_id = (SELECT id FROM environments WHERE kind = $1)";

    CATALOG_VERSION = "SELECT catalog_version FROM environments WHERE id = $1";
    ADVANCE_CATALOG = "
        UPDATE environments SET catalog_version = catalog_version + 1
        WHERE id = $1 AND catalog_version = $2 RETURNING catalog_version";
    FEATURES = "
        SELECT id, name, type, unit_label, unit_label_plural, metadata, thresholds,
            draws_on, cost
        FROM features WHERE environment_id = $1 ORDER BY position";
    PACKAGES = "
        SELECT id, name, is_addon, status, metadata, updated_at
        FROM packages WHERE environment_id = $1 ORDER BY position";
    PACKAGE_FEATURES = "
        SELECT package_id, feature_id, name, usage_limit, reset_period, reset_anchor,
            overage_enabled, stacking, rollover_periods, rollover_max
        FROM package_features WHERE environment_id = $1 ORDER BY package_id, position";
    PACKAGE_BASES = "
        SELECT package_id, base_package_id
        FROM package_bases WHERE environment_id = $1 ORDER BY package_id, position";
    PUT_FEATURES = "
        INSERT INTO features
            (environment_id, position, id, name, type, unit_label, unit_label_plural, metadata,
             thresholds, draws_on, cost)
        SELECT $1,
            (SELECT coalesce(max(position), 0) FROM features WHERE environment_id = $1)
                + f.position,
            f.id, f.name, f.type, f.unit_label, f.unit_label_plural, f.metadata, f.thresholds,
            f.draws_on, f.cost
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::text[], $10::bigint[])
            WITH ORDINALITY
            AS f (id, name, type, unit_label, unit_label_plural, metadata, thresholds, draws_on,
                  cost, position)
        ON CONFLICT (environment_id, id) DO UPDATE SET
            name = excluded.name, type = excluded.type, unit_label = excluded.unit_label,
            unit_label_plural = excluded.unit_label_plural, metadata = excluded.metadata,
            thresholds = excluded.thresholds, draws_on = excluded.draws_on, cost = excluded.cost";
    PUT_PACKAGES = "
        INSERT INTO packages
            (environment_id, position, id, name, is_addon, status, metadata, updated_at)
        SELECT $1,
            (SELECT coalesce(max(position), 0) FROM packages WHERE environment_id = $1)
                + p.position,
            p.id, p.name, p.is_addon, p.status, p.metadata, p.updated_at
        FROM unnest($2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::bigint[])
            WITH ORDINALITY AS p (id, name, is_addon, status, metadata, updated_at, position)
        ON CONFLICT (environment_id, id) DO UPDATE SET
            name = excluded.name, is_addon = excluded.is_addon, status = excluded.status,
            metadata = excluded.metadata, updated_at = excluded.updated_at";
    CLEAR_PACKAGE_FEATURES = "
        DELETE FROM package_features WHERE environment_id = $1 AND package_id = ANY ($2::text[])";
    ADD_PACKAGE_FEATURES = "
        INSERT INTO package_features
            (environment_id, package_id, position, feature_id, name, usage_limit, reset_period,
             reset_anchor, overage_enabled, stacking, rollover_periods, rollover_max)
        SELECT $1, f.*
        FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                    $8::text[], $9::boolean[], $10::text[], $11::bigint[], $12::bigint[]) f";
    PACKAGE_FEATURE_TERMS = "
        SELECT package_id, feature_id, since, terms, is_given, usage_limit, reset_period,
            reset_anchor, overage_enabled, stacking, rollover_periods, rollover_max
        FROM package_feature_terms WHERE environment_id = $1
        ORDER BY package_id, feature_id, position";
    CLEAR_PACKAGE_FEATURE_TERMS = "
        DELETE FROM package_feature_terms
        WHERE environment_id = $1 AND package_id = ANY ($2::text[])";
    ADD_PACKAGE_FEATURE_TERMS = "
        INSERT INTO package_feature_terms
            (environment_id, package_id, feature_id, position, since, terms, is_given, usage_limit,
             reset_period, reset_anchor, overage_enabled, stacking, rollover_periods, rollover_max)
        SELECT $1, t.*
        FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                    $7::boolean[], $8::bigint[], $9::text[], $10::text[],
                    $11::boolean[], $12::text[], $13::bigint[], $14::bigint[]) t";
    CLEAR_PACKAGE_BASES = "
        DELETE FROM package_bases WHERE environment_id = $1 AND package_id = ANY ($2::text[])";
    ADD_PACKAGE_BASES = "
        INSERT INTO package_bases (environment_id, package_id, position, base_package_id)
        SELECT $1, b.* FROM unnest($2::text[], $3::bigint[], $4::text[]) b";

    DELETE_FEATURES = "DELETE FROM features WHERE environment_id = $1 AND id = ANY ($2::text[])";
    DELETE_PACKAGES = "DELETE FROM packages WHERE environment_id = $1 AND id = ANY ($2::text[])";
    NOTE_USAGE = "
        INSERT INTO features_with_usage (environment_id, feature_id)
        SELECT $1, f.id FROM unnest($2::text[]) WITH ORDINALITY AS f (id, position)
        ORDER BY f.position
        ON CONFLICT DO NOTHING";
    HAVE_USAGE = "
        SELECT f.feature_id FROM unnest($2::text[]) k (id)
        CROSS JOIN LATERAL (
            SELECT feature_id FROM features_with_usage
            WHERE environment_id = $1 AND feature_id = k.id OFFSET 0) f";
    // Each user once, however often subscribed.
    ACTIVE_SUBSCRIBERS = concat!("
        SELECT k.id, s.subscribers FROM unnest($2::text[]) k (id)
        CROSS JOIN LATERAL (
            SELECT count(DISTINCT user_key) AS subscribers FROM subscriptions
            WHERE environment_id + 0 = $1 AND package_id = k.id AND ",
        grants_at!("$3"), " OFFSET 0) s");

    SUBSCRIBERS_AFTER = concat!("
        SELECT DISTINCT ON (uuid_send(user_key)) user_key FROM subscriptions
        WHERE environment_id + 0 = $1 AND package_id = $2 AND uuid_send(user_key) > uuid_send($3)
            AND ", grants_at!("$5"), "
        ORDER BY uuid_send(user_key) LIMIT $4");
    SUBSCRIBERS_AMONG = concat!("
        SELECT s.user_key FROM unnest($3::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT user_key FROM subscriptions
            WHERE environment_id + 0 = $1 AND package_id = $2
                AND uuid_send(user_key) = uuid_send(k.key) AND ", grants_at!("$4"), "
            LIMIT 1) s");

    // From each number of shared characters as many as a page has, and of all these the page.
    USERS_WITH_PREFIX = "
        SELECT m.text, m.user_key FROM generate_series(0, $3::bigint - 1) k (shared)
        CROSS JOIN LATERAL (
            SELECT text, user_key FROM user_search
            WHERE environment_id = $1 AND shared = k.shared AND (text, user_key) > ($4, $5)
            ORDER BY text, user_key LIMIT $6) m
        WHERE starts_with(m.text, $2)
        ORDER BY m.text, m.user_key LIMIT $6";
    ADD_SEARCH_ENTRIES = "
        INSERT INTO user_search (environment_id, shared, text, user_key)
        SELECT $1, n.* FROM unnest($2::bigint[], $3::text[], $4::uuid[]) n";
    DELETE_SEARCH_ENTRIES = "
        DELETE FROM user_search WHERE ctid = ANY (ARRAY(
            SELECT s.ctid
            FROM unnest($2::bigint[], $3::text[], $4::uuid[]) AS k (shared, text, user_key)
            CROSS JOIN LATERAL (
                SELECT ctid FROM user_search
                WHERE environment_id = $1 AND shared = k.shared AND text = k.text
                    AND user_key = k.user_key
                OFFSET 0) s))";
    USERS_TO_FILL_AFTER = "
        SELECT environment_id, key, id, billing_id, name, email FROM users
        WHERE (environment_id, key) > ($1, $2) ORDER BY environment_id, key LIMIT $3";
    FILL_SEARCH = "
        INSERT INTO user_search (environment_id, shared, text, user_key)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[])";
    LOCK_USER_IMPORTS = "SELECT pg_advisory_xact_lock($1, $2)";
    USER_IMPORTS = "
        SELECT id, created_at, data FROM user_imports WHERE environment_id = $1 ORDER BY id";
    PUT_USER_IMPORT = "
        INSERT INTO user_imports (environment_id, id, created_at, data) VALUES ($1, $2, $3, $4)
        ON CONFLICT (environment_id, id) DO UPDATE SET data = excluded.data";
    USER_IMPORT_LINES_AFTER = "
        SELECT kind, line, data FROM user_import_lines
        WHERE environment_id = $1 AND import_id = $2 AND kind = $3 AND line > $4
        ORDER BY line LIMIT $5";
    ADD_USER_IMPORT_LINES = "
        INSERT INTO user_import_lines (environment_id, import_id, kind, line, data)
        SELECT $1, $2, n.* FROM unnest($3::text[], $4::bigint[], $5::text[]) n";
    USER_IMPORT_NAMES = "
        SELECT n.name, n.line, n.kind FROM unnest($3::text[]) k (name)
        CROSS JOIN LATERAL (
            SELECT name, line, kind FROM user_import_names
            WHERE environment_id = $1 AND import_id = $2 AND name = k.name OFFSET 0) n";
    ADD_USER_IMPORT_NAMES = "
        INSERT INTO user_import_names (environment_id, import_id, name, line, kind)
        SELECT $1, $2, n.* FROM unnest($3::text[], $4::bigint[], $5::text[]) n";
    USERS_WITH_EMAIL = "
        SELECT u.email, u.id FROM unnest($2::text[]) k (email)
        CROSS JOIN LATERAL (
            SELECT email, id FROM users
            WHERE environment_id = $1 AND email = k.email LIMIT $3) u";
    FORGET_USER_IMPORT_LINES = "
        DELETE FROM user_import_lines WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM user_import_lines
            WHERE environment_id = $1 AND import_id = $2 LIMIT $3))
        RETURNING line";
    FORGET_USER_IMPORT_NAMES = "
        DELETE FROM user_import_names WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM user_import_names
            WHERE environment_id = $1 AND import_id = $2 LIMIT $3))
        RETURNING line";
    FORGET_USER_IMPORT = "
        DELETE FROM user_imports WHERE environment_id = $1 AND id = $2 RETURNING created_at";

    TRY_SIMULATION = "SELECT pg_try_advisory_xact_lock($1, $2)";
    // Nobody says that something occurred much later than it was recorded, and only then is a month left out.
    USAGE_BY_USER = "
        SELECT user_key, feature_id, action, delta, occurred_at, idempotency_key FROM events
        WHERE environment_id = $1 AND recorded_at >= $2 AND occurred_at >= $3 AND occurred_at < $4
        ORDER BY user_key, action <> 'VOID', recorded_at, ctid";

    // Whoever decides on a catalog shares it, and whoever changes it has it alone; see `locks`.
    SHARE_CATALOG = "SELECT pg_advisory_xact_lock_shared($1, $2)";
    CLAIM_CATALOG = "SELECT pg_advisory_xact_lock($1, $2)";

    // The catalog version comes with the facts, also when nobody asked about exists.
    FACTS = "
        SELECT e.catalog_version, u.id, u.key, u.running_subscriptions, u.recent_counters,
            u.has_older_counters, u.has_overrides, u.has_grants, u.has_holds
        FROM environments e
        LEFT JOIN LATERAL (
            SELECT u.* FROM unnest($2::text[]) k (id)
            CROSS JOIN LATERAL (
                SELECT id, key, running_subscriptions, recent_counters, has_older_counters,
                    has_overrides, has_grants, has_holds
                FROM users WHERE environment_id = $1 AND id = k.id OFFSET 0) u
        ) u ON true
        WHERE e.id = $1";
    // Locks the users in the order of the array. Who had to wait for a row has it as it is now, and
    // where it is now. The lock gives the transaction a number, which comes with it.
    LOCK_FACTS = concat!("
        SELECT e.catalog_version, u.id, u.key, u.running_subscriptions, u.recent_counters,
            u.has_older_counters, u.has_overrides, u.has_grants, u.has_holds, u.place,
            e.replays_table, t.number, t.timeline, t.started_at
        FROM environments e
        CROSS JOIN (", own_transaction!(), " OFFSET 0) t
        LEFT JOIN LATERAL (
            SELECT u.* FROM unnest($2::text[]) k (id)
            CROSS JOIN LATERAL (
                SELECT id, key, running_subscriptions, recent_counters, has_older_counters,
                    has_overrides, has_grants, has_holds, ctid::text AS place
                FROM users WHERE environment_id = $1 AND id = k.id OFFSET 0 FOR NO KEY UPDATE) u
        ) u ON true
        WHERE e.id = $1");
    SUBSCRIPTIONS = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            u.id, u.key
        FROM unnest($2::uuid[]) k (id)
        CROSS JOIN LATERAL (
            SELECT * FROM subscriptions WHERE environment_id = $1 AND id = k.id OFFSET 0) s
        CROSS JOIN LATERAL (
            SELECT id, key FROM users WHERE environment_id = $1 AND key = s.user_key OFFSET 0) u";
    // The page first, and then the users of it.
    FIRST_SUBSCRIPTIONS = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            u.id, u.key
        FROM (
            SELECT * FROM subscriptions WHERE environment_id = $1
            ORDER BY started_at DESC, id DESC LIMIT $2) s
        CROSS JOIN LATERAL (
            SELECT id, key FROM users WHERE environment_id = $1 AND key = s.user_key OFFSET 0) u
        ORDER BY s.started_at DESC, s.id DESC";
    SUBSCRIPTIONS_AFTER = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            u.id, u.key
        FROM (
            SELECT * FROM subscriptions
            WHERE environment_id = $1 AND (started_at, id) < ($3, $4)
            ORDER BY started_at DESC, id DESC LIMIT $2) s
        CROSS JOIN LATERAL (
            SELECT id, key FROM users WHERE environment_id = $1 AND key = s.user_key OFFSET 0) u
        ORDER BY s.started_at DESC, s.id DESC";
    SUBSCRIPTIONS_OF = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            s.user_key
        FROM unnest($2::uuid[]) k (user_key)
        CROSS JOIN LATERAL (
            SELECT * FROM subscriptions
            WHERE environment_id = $1 AND user_key = k.user_key OFFSET 0) s";
    ENDED_SUBSCRIPTIONS = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            s.user_key
        FROM unnest($2::uuid[]) k (user_key)
        CROSS JOIN LATERAL (
            SELECT * FROM subscriptions
            WHERE environment_id = $1 AND user_key = k.user_key AND ended_at IS NOT NULL
            OFFSET 0) s";
    RECENT_COUNTERS = "
        SELECT u.key, u.recent_counters, u.has_older_counters FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT key, recent_counters, has_older_counters FROM users
            WHERE environment_id = $1 AND key = k.key OFFSET 0) u";
    // Those that are not beside their users.
    COUNTERS = "
        SELECT k.position, c.used, c.marks
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[]) WITH ORDINALITY
            AS k (user_key, subscription_id, feature_id, terms, period_start, position)
        CROSS JOIN LATERAL (
            SELECT used, marks FROM counters
            WHERE environment_id = $1 AND user_key = k.user_key
                AND subscription_id = k.subscription_id AND feature_id = k.feature_id
                AND terms = k.terms AND period_start = k.period_start
            OFFSET 0) c";
    COUNTERS_AFTER = "
        SELECT user_key, subscription_id, feature_id, terms, period_start
        FROM counters
        WHERE environment_id = $1
            AND (user_key, subscription_id, feature_id, terms, period_start) > ($2, $3, $4, $5, $6)
        ORDER BY user_key, subscription_id, feature_id, terms, period_start
        LIMIT $7";
    // A reader looks at all tables that are not retired.
    REPLAYS = "
        SELECT r.idempotency_key, r.user_key, r.feature_id, r.action, r.delta, r.occurred_at,
            r.answer, r.kept_at
        FROM unnest($2::text[]) k (key)
        CROSS JOIN LATERAL (
            SELECT * FROM replays WHERE environment_id = $1 AND idempotency_key = k.key
            OFFSET 0) r";
    // A writer knows which table takes new keys.
    REPLAYS_TABLE = "SELECT replays_table FROM environments WHERE id = $1";
    REPLAYS_0 = replays_in!("replays_0", "replays_3", "replays_2");
    REPLAYS_1 = replays_in!("replays_1", "replays_0", "replays_3");
    REPLAYS_2 = replays_in!("replays_2", "replays_1", "replays_0");
    REPLAYS_3 = replays_in!("replays_3", "replays_2", "replays_1");
    FORGET_KEYS_0 = forget_keys_in!("replays_0");
    FORGET_KEYS_1 = forget_keys_in!("replays_1");
    FORGET_KEYS_2 = forget_keys_in!("replays_2");
    FORGET_KEYS_3 = forget_keys_in!("replays_3");
    ADD_SUBSCRIPTIONS = "
        INSERT INTO subscriptions
            (environment_id, user_key, id, package_id, status, started_at, ended_at, quantities,
             timing)
        SELECT $1, n.*
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                    $8::text[], $9::text[]) n";
    SET_QUANTITIES = "
        UPDATE subscriptions s SET quantities = n.quantities
        FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS n (user_key, id, quantities)
        CROSS JOIN LATERAL (
            SELECT ctid FROM subscriptions
            WHERE environment_id = $1 AND user_key = n.user_key AND id = n.id OFFSET 0) AS old
        WHERE s.ctid = old.ctid";
    SET_TIMINGS = "
        UPDATE subscriptions s SET timing = n.timing
        FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS n (user_key, id, timing)
        CROSS JOIN LATERAL (
            SELECT ctid FROM subscriptions
            WHERE environment_id = $1 AND user_key = n.user_key AND id = n.id OFFSET 0) AS old
        WHERE s.ctid = old.ctid";
    CANCEL_SUBSCRIPTIONS = "
        UPDATE subscriptions s SET status = 'CANCELLED', ended_at = n.ended_at
        FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS n (user_key, id, ended_at)
        CROSS JOIN LATERAL (
            SELECT ctid FROM subscriptions
            WHERE environment_id = $1 AND user_key = n.user_key AND id = n.id OFFSET 0) AS old
        WHERE s.ctid = old.ctid";
    // After both of those above. Whoever updates rows has them locked, so that they stay where they
    // are found.
    OVERRIDES_OF = "
        SELECT o.feature_id, o.id, o.kind, o.usage_limit, o.reset_period, o.reset_anchor,
            o.overage_enabled, o.starts_at, o.ends_at, o.reason, o.history, o.user_key
        FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT * FROM overrides WHERE environment_id = $1 AND user_key = k.key OFFSET 0) o";
    DELETE_OVERRIDES = "
        DELETE FROM overrides WHERE ctid = ANY (ARRAY(
            SELECT o.ctid
            FROM unnest($2::uuid[], $3::text[]) k (user_key, feature_id)
            CROSS JOIN LATERAL (
                SELECT ctid FROM overrides
                WHERE environment_id = $1 AND user_key = k.user_key AND feature_id = k.feature_id
                OFFSET 0) o))";
    DELETE_OVERRIDES_OF = "
        DELETE FROM overrides WHERE ctid = ANY (ARRAY(
            SELECT o.ctid
            FROM unnest($2::uuid[]) k (key)
            CROSS JOIN LATERAL (
                SELECT ctid FROM overrides WHERE environment_id = $1 AND user_key = k.key
                OFFSET 0) o))";
    PUT_OVERRIDES = "
        INSERT INTO overrides
            (environment_id, user_key, feature_id, id, kind, usage_limit, reset_period, reset_anchor,
             overage_enabled, starts_at, ends_at, reason, history)
        SELECT $1, o.*
        FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::text[],
                    $8::text[], $9::boolean[], $10::bigint[], $11::bigint[], $12::text[],
                    $13::text[]) o
        ON CONFLICT (environment_id, user_key, feature_id) DO UPDATE SET
            id = excluded.id, kind = excluded.kind, usage_limit = excluded.usage_limit,
            reset_period = excluded.reset_period, reset_anchor = excluded.reset_anchor,
            overage_enabled = excluded.overage_enabled, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, reason = excluded.reason, history = excluded.history";
    NOTE_OVERRIDES = "
        UPDATE users u SET has_overrides = n.has_overrides
        FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT ctid FROM users WHERE environment_id = $1 AND key = k.key OFFSET 0) AS old
        CROSS JOIN LATERAL (
            SELECT count(*) > 0 AS has_overrides
            FROM overrides WHERE environment_id = $1 AND user_key = k.key OFFSET 0) AS n
        WHERE u.ctid = old.ctid";
    GRANTS_OF = "
        SELECT g.key, g.id, g.feature_id, g.amount, g.drawn, g.priority, g.starts_at, g.expires_at,
            g.voided_at, g.reason, g.created_at, g.user_key
        FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT * FROM grants WHERE environment_id = $1 AND user_key = k.key OFFSET 0) g";
    PUT_GRANTS = "
        INSERT INTO grants
            (environment_id, user_key, key, id, feature_id, amount, drawn, priority, starts_at,
             expires_at, voided_at, reason, created_at)
        SELECT $1, g.*
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[],
                    $13::bigint[]) g
        ON CONFLICT (environment_id, user_key, key) DO UPDATE SET
            drawn = excluded.drawn, voided_at = excluded.voided_at";
    SET_DRAWN = "
        UPDATE grants g SET drawn = n.drawn
        FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS n (user_key, key, drawn)
        CROSS JOIN LATERAL (
            SELECT ctid FROM grants
            WHERE environment_id = $1 AND user_key = n.user_key AND key = n.key OFFSET 0) AS old
        WHERE g.ctid = old.ctid";
    DELETE_GRANTS = "
        DELETE FROM grants WHERE ctid = ANY (ARRAY(
            SELECT g.ctid
            FROM unnest($2::uuid[], $3::uuid[]) k (user_key, key)
            CROSS JOIN LATERAL (
                SELECT ctid FROM grants
                WHERE environment_id = $1 AND user_key = k.user_key AND key = k.key
                OFFSET 0) g))";
    DELETE_GRANTS_OF = "
        DELETE FROM grants WHERE ctid = ANY (ARRAY(
            SELECT g.ctid
            FROM unnest($2::uuid[]) k (key)
            CROSS JOIN LATERAL (
                SELECT ctid FROM grants WHERE environment_id = $1 AND user_key = k.key
                OFFSET 0) g))";
    NOTE_GRANTS = "
        UPDATE users u SET has_grants = n.has_grants
        FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT ctid FROM users WHERE environment_id = $1 AND key = k.key OFFSET 0) AS old
        CROSS JOIN LATERAL (
            SELECT count(*) > 0 AS has_grants
            FROM grants WHERE environment_id = $1 AND user_key = k.key OFFSET 0) AS n
        WHERE u.ctid = old.ctid";
    LIVING_HOLDS_OF = "
        SELECT h.id, h.feature_id, h.amount, h.cost, h.balance_id, h.subscription_id, h.terms,
            h.period_start, h.created_at, h.expires_at, h.ended_at, h.settled, h.user_key
        FROM unnest($2::uuid[], $3::text[]) k (key, balance)
        CROSS JOIN LATERAL (
            SELECT * FROM holds
            WHERE environment_id = $1 AND user_key = k.key AND balance_id = k.balance
                AND ended_at IS NULL AND expires_at > $4 OFFSET 0) h";
    HOLDS = "
        SELECT h.id, h.feature_id, h.amount, h.cost, h.balance_id, h.subscription_id, h.terms,
            h.period_start, h.created_at, h.expires_at, h.ended_at, h.settled, h.user_key
        FROM unnest($2::uuid[], $3::text[]) k (key, id)
        CROSS JOIN LATERAL (
            SELECT * FROM holds
            WHERE environment_id = $1 AND user_key = k.key AND id = k.id OFFSET 0) h";
    PUT_HOLDS = "
        INSERT INTO holds
            (environment_id, user_key, id, feature_id, amount, cost, balance_id, subscription_id,
             terms, period_start, created_at, expires_at, ended_at, settled)
        SELECT $1, h.*
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
                    $8::uuid[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
                    $13::bigint[], $14::bigint[]) h
        ON CONFLICT (environment_id, user_key, id) DO UPDATE SET
            subscription_id = excluded.subscription_id, terms = excluded.terms,
            period_start = excluded.period_start,
            expires_at = excluded.expires_at, ended_at = excluded.ended_at,
            settled = excluded.settled";
    NOTE_HOLDS = "
        UPDATE users u SET has_holds = n.has_holds
        FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT ctid FROM users WHERE environment_id = $1 AND key = k.key OFFSET 0) AS old
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT 1 FROM holds
                WHERE environment_id = $1 AND user_key = k.key AND ended_at IS NULL) AS has_holds
            OFFSET 0) AS n
        WHERE u.ctid = old.ctid AND u.has_holds <> n.has_holds";
    FORGET_HOLDS = "
        DELETE FROM holds WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM holds
            WHERE environment_id + 0 = $1 AND coalesce(ended_at, expires_at) < $2
            ORDER BY coalesce(ended_at, expires_at) LIMIT $3))
        RETURNING terms";
    NOTE_RUNNING = "
        UPDATE users u SET running_subscriptions = n.running
        FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT ctid FROM users WHERE environment_id = $1 AND key = k.key OFFSET 0) AS old
        CROSS JOIN LATERAL (
            SELECT json_agg(CASE
                    WHEN timing IS NOT NULL THEN json_build_array(
                        id, package_id, status, started_at, quantities::json, timing::json)
                    WHEN quantities IS NULL
                    THEN json_build_array(id, package_id, status, started_at)
                    ELSE json_build_array(id, package_id, status, started_at, quantities::json)
                END ORDER BY id)::text AS running
            FROM subscriptions
            WHERE environment_id = $1 AND user_key = k.key AND ended_at IS NULL OFFSET 0) AS n
        WHERE u.ctid = old.ctid";
    SET_RECENT_COUNTERS = concat!(
        "WITH written AS (", set_recent_counters!(), ") ", all_were_written!());
    // The statements above and below in one, for usage that is recorded.
    RECORD_USAGE = concat!(
        "WITH written AS (", set_recent_counters!(), "),
        logged AS (",
        log_events!(
            "$6::uuid[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[],
             $12::uuid[], $13::text[], $14::text[]"),
        "),
        appended AS (", append_usage!("$15, $16, $17, $18, $19"), ") ",
        all_were_written!());
    SET_COUNTERS = "
        INSERT INTO counters
            (environment_id, user_key, subscription_id, feature_id, terms, period_start, used, marks)
        SELECT $1, n.*
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                    $8::text[]) n
        ON CONFLICT (environment_id, user_key, subscription_id, feature_id, terms, period_start)
        DO UPDATE SET used = excluded.used, marks = excluded.marks";
    // The users are locked, so the rows stay where they are found.
    DELETE_COUNTERS = "
        DELETE FROM counters WHERE ctid = ANY (ARRAY(
            SELECT c.ctid
            FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[])
                AS k (user_key, subscription_id, feature_id, terms, period_start)
            CROSS JOIN LATERAL (
                SELECT ctid FROM counters
                WHERE environment_id = $1 AND user_key = k.user_key
                    AND subscription_id = k.subscription_id AND feature_id = k.feature_id
                    AND terms = k.terms AND period_start = k.period_start
                OFFSET 0) c))";
    LOG_EVENTS = log_events!(
        "$2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::uuid[],
         $9::text[], $10::text[]");
    // The index of events by time can only be read as a bitmap, which our sessions do not do otherwise.
    READ_BITMAPS = "
        SELECT set_config('enable_bitmapscan', $1, true),
            set_config('max_parallel_workers_per_gather', '0', true)";
    COUNT_EVENTS = "
        SELECT count(*), count(*) FILTER (WHERE environment_id = $1 AND user_key = $2)
        FROM (
            SELECT environment_id, user_key FROM events
            WHERE recorded_at >= $3 AND recorded_at <= $4 LIMIT $5) e";
    HAVE_EARLIER_EVENTS = "SELECT EXISTS (SELECT FROM events WHERE recorded_at < $1)";
    // Those of one millisecond are ordered by where they are.
    EVENTS_OF_USER = "
        SELECT feature_id, action, delta, occurred_at, recorded_at, subscription_id,
            idempotency_key, metadata, ctid::text
        FROM events
        WHERE environment_id = $1 AND user_key = $2 AND recorded_at >= $3 AND recorded_at <= $4
            AND (recorded_at < $4 OR ctid < $5::text::tid)
        ORDER BY recorded_at DESC, events.ctid DESC LIMIT $6";
    FORGET_EVENT_METADATA = "
        UPDATE events SET metadata = NULL
        WHERE environment_id = $1 AND user_key = $2 AND recorded_at >= $3 AND recorded_at <= $4
            AND metadata IS NOT NULL";
    APPEND_USAGE = append_usage!("$2, $3, $4, $5, $6");
    // What is deleted is what is added, in one statement. Rows are written in their order, so that two
    // who fold at the same time do not deadlock.
    FOLD_USAGE = concat!("
        WITH folded AS (
            DELETE FROM usage_deltas WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM usage_deltas WHERE environment_id = $1 LIMIT $2))
            RETURNING days, features, events, amounts, uncounted),
        added AS (
            INSERT INTO usage_by_day AS known
                (environment_id, day, feature_id, events, amount, uncounted)
            SELECT $1, day, feature_id, sum(events), ", sum_of_amounts!(), ", sum(uncounted)
            FROM (
                SELECT u.* FROM folded f CROSS JOIN LATERAL
                    unnest(f.days, f.features, f.events, f.amounts, f.uncounted)
                        AS u (day, feature_id, events, amount, uncounted)) u
            GROUP BY day, feature_id ORDER BY day, feature_id
            ON CONFLICT (environment_id, day, feature_id) DO UPDATE SET
                events = known.events + excluded.events,
                amount = greatest(least(
                    known.amount::numeric + excluded.amount, 9223372036854775807),
                    -9223372036854775808)::bigint,
                uncounted = known.uncounted + excluded.uncounted),
        added_up AS (
            INSERT INTO usage_totals AS known (environment_id, day, events, uncounted)
            SELECT $1, day, sum(events), sum(uncounted)
            FROM (
                SELECT u.* FROM folded f CROSS JOIN LATERAL
                    unnest(f.days, f.events, f.uncounted) AS u (day, events, uncounted)) u
            GROUP BY day ORDER BY day
            ON CONFLICT (environment_id, day) DO UPDATE SET
                events = known.events + excluded.events,
                uncounted = known.uncounted + excluded.uncounted)
        SELECT count(*) FROM folded");
    USAGE_BY_DAY_OF_FEATURE = concat!("
        SELECT day, sum(events)::bigint, ", sum_of_amounts!(), ", sum(uncounted)::bigint
        FROM (
            SELECT known.day, known.events, known.amount, known.uncounted
            FROM generate_series($2::bigint, $3::bigint) d (day)
            CROSS JOIN LATERAL (
                SELECT * FROM usage_by_day
                WHERE environment_id = $1 AND day = d.day AND feature_id = $4 OFFSET 0) known
            UNION ALL
            SELECT day, events, amount, uncounted
            FROM (", unfolded_usage!(), ") unfolded
            WHERE day BETWEEN $2 AND $3 AND feature_id = $4) u
        GROUP BY day ORDER BY day");
    USAGE_BY_DAY = concat!("
        SELECT day, sum(events)::bigint, NULL::bigint, sum(uncounted)::bigint
        FROM (
            SELECT day, events, uncounted FROM usage_totals
            WHERE environment_id = $1 AND day BETWEEN $2 AND $3
            UNION ALL
            SELECT day, events, uncounted FROM (", unfolded_usage!(), ") unfolded
            WHERE day BETWEEN $2 AND $3) u
        GROUP BY day ORDER BY day");
    TOP_FEATURES = concat!("
        SELECT feature_id, sum(events)::bigint AS events, ", sum_of_amounts!(), ",
            sum(uncounted)::bigint
        FROM (
            SELECT feature_id, sum(events) AS events, sum(amount) AS amount,
                sum(uncounted) AS uncounted
            FROM usage_by_day
            WHERE environment_id = $1 AND day BETWEEN $2 AND $3 GROUP BY feature_id
            UNION ALL
            SELECT feature_id, events, amount, uncounted FROM (", unfolded_usage!(), ") unfolded
            WHERE day BETWEEN $2 AND $3) u
        GROUP BY feature_id ORDER BY events DESC, feature_id LIMIT $4");
    USAGE_SINCE = "SELECT day FROM usage_since WHERE environment_id = $1";
    FORGET_USAGE_BY_DAY = "
        WITH totals AS (
            DELETE FROM usage_totals WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM usage_totals WHERE environment_id = $1 AND day < $2
                ORDER BY day LIMIT $3)))
        DELETE FROM usage_by_day WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM usage_by_day WHERE environment_id = $1 AND day < $2
            ORDER BY day, feature_id LIMIT $3))
        RETURNING day";
    LIMIT_CROSSINGS = "
        SELECT u.id, c.feature_id
        FROM (
            SELECT user_key, feature_id, period_end, crossed_at FROM limit_crossings
            WHERE environment_id = $1 ORDER BY crossed_at DESC LIMIT $3) c
        CROSS JOIN LATERAL (
            SELECT id FROM users WHERE environment_id = $1 AND key = c.user_key OFFSET 0) u
        WHERE c.period_end > $2 ORDER BY c.crossed_at DESC";
    // Of users who are locked.
    CROSS_LIMITS = "
        INSERT INTO limit_crossings
            (environment_id, user_key, feature_id, period_end, share, crossed_at)
        SELECT $1, n.*
        FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) n
        ON CONFLICT (environment_id, user_key, feature_id, period_end, share)
            DO UPDATE SET crossed_at = excluded.crossed_at";
    FORGET_LIMIT_CROSSINGS = "
        DELETE FROM limit_crossings WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM limit_crossings WHERE environment_id = $1 AND period_end <= $2
            ORDER BY period_end LIMIT $3))
        RETURNING share";
    ADD_THRESHOLD_EVENTS = "
        INSERT INTO threshold_events
            (environment_id, id, user_key, feature_id, threshold, period_start, period_end, used,
             budget, overage_enabled, at, carried, granted, held)
        SELECT $1, n.*
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                    $8::bigint[], $9::bigint[], $10::boolean[], $11::bigint[], $12::bigint[],
                    $13::bigint[], $14::bigint[]) n";
    // The page first, and then the users of it.
    THRESHOLD_EVENTS_AFTER = "
        SELECT e.id, e.feature_id, e.threshold, e.period_start, e.period_end, e.used, e.budget,
            e.overage_enabled, e.at, e.carried, e.granted, e.held, u.id
        FROM (
            SELECT * FROM threshold_events WHERE environment_id + 0 = $1 AND id > $2
            ORDER BY id LIMIT $3) e
        CROSS JOIN LATERAL (
            SELECT id FROM users WHERE environment_id = $1 AND key = e.user_key OFFSET 0) u
        ORDER BY e.id";
    THRESHOLD_EVENTS_OF_USER_AFTER = "
        SELECT e.id, e.feature_id, e.threshold, e.period_start, e.period_end, e.used, e.budget,
            e.overage_enabled, e.at, e.carried, e.granted, e.held, u.id
        FROM (
            SELECT * FROM threshold_events
            WHERE environment_id = $1 AND user_key = $4 AND id > $2
            ORDER BY environment_id, user_key, id LIMIT $3) e
        CROSS JOIN LATERAL (
            SELECT id FROM users WHERE environment_id = $1 AND key = e.user_key OFFSET 0) u
        ORDER BY e.id";
    FORGET_THRESHOLD_EVENTS = "
        DELETE FROM threshold_events WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM (
                SELECT ctid, at FROM threshold_events WHERE environment_id + 0 = $1
                ORDER BY id LIMIT $3) e
            WHERE e.at < $2))
        RETURNING id";
    FORGET_EVENTS = "SELECT forget_events($1, $2)";
    KEEP_REPLAYS_0 = keep_replays_in!("replays_0");
    KEEP_REPLAYS_1 = keep_replays_in!("replays_1");
    KEEP_REPLAYS_2 = keep_replays_in!("replays_2");
    KEEP_REPLAYS_3 = keep_replays_in!("replays_3");
    FORGET_OLD_KEYS = "SELECT forget_old_keys($1, $2)";

    // For `/readyz`: whether the server accepts no changes, the first missing table, and the first
    // table that our role lacks a right on.
    READINESS = "
        SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
            pg_backend_pid(),
            min(t.name) FILTER (WHERE t.id IS NULL),
            min(t.name) FILTER (WHERE NOT CASE t.rights
                WHEN 'insert' THEN has_table_privilege(t.id, 'INSERT')
                    AND has_table_privilege(t.id, 'SELECT')
                WHEN 'change' THEN has_table_privilege(t.id, 'INSERT')
                    AND has_table_privilege(t.id, 'SELECT')
                    AND has_table_privilege(t.id, 'UPDATE')
                ELSE has_table_privilege(t.id, 'SELECT') END)
        FROM (
            SELECT name, rights, to_regclass('kana.' || name)::oid AS id
            FROM (VALUES
                ('app', 'read'), ('environments', 'change'), ('keys', 'read'),
                ('token_secrets', 'insert'), ('features', 'read'), ('packages', 'read'),
                ('package_features', 'read'), ('package_feature_terms', 'read'),
                ('package_bases', 'read'), ('users', 'change'),
                ('subscriptions', 'change'), ('overrides', 'change'), ('grants', 'change'),
                ('holds', 'change'), ('counters', 'change'),
                ('features_with_usage', 'insert'), ('events', 'insert'),
                ('events_default', 'read'), ('replays_0', 'insert'),
                ('replays_1', 'insert'), ('replays_2', 'insert'), ('replays_3', 'insert'),
                ('changes', 'insert'), ('change_heads', 'change'), ('audit_log', 'insert'),
                ('jobs', 'change'), ('admins', 'change'), ('sessions', 'change'),
                ('invitations', 'change'), ('sent_forms', 'change'), ('user_search', 'insert'),
                ('usage_deltas', 'insert'),
                ('usage_by_day', 'change'), ('usage_totals', 'change'), ('usage_since', 'read'),
                ('limit_crossings', 'change'), ('threshold_events', 'insert'),
                ('user_imports', 'change'),
                ('user_import_lines', 'insert'), ('user_import_names', 'insert')
            ) AS needed (name, rights)) t";
    MAKE_EVENTS_PARTITION = "SELECT from_ms, to_ms FROM make_events_partition($1)";
    NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

    // A transaction's number, and the timeline on which that number means something.
    OWN_TRANSACTION = own_transaction!();
    // A server that crashed does not know the transactions of which nothing was on its disk, and gives their
    // numbers to others. The checkpoint that ends its recovery has the first number that it gives. The next
    // one comes 30 seconds later at the earliest, but for one that somebody asked for.
    FATE_OF_TRANSACTION = "
        SELECT CASE
            WHEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) <> $2 THEN NULL
            WHEN pg_postmaster_start_time() = $3 THEN pg_xact_status($1::text::xid8)
            WHEN $1::text::numeric >= (
                SELECT split_part(next_xid, ':', 1)::numeric * 4294967296
                    + split_part(next_xid, ':', 2)::numeric
                FROM pg_control_checkpoint()) THEN 'aborted'
            WHEN clock_timestamp() < pg_postmaster_start_time() + interval '30 s'
                THEN pg_xact_status($1::text::xid8)
        END";

    APPEND_CHANGES = "
        WITH head AS (
            INSERT INTO change_heads (environment_id, number) VALUES ($1, cardinality($2::uuid[]))
            ON CONFLICT (environment_id)
                DO UPDATE SET number = change_heads.number + excluded.number
            RETURNING number)
        INSERT INTO changes (environment_id, number, id, type, at, user_id, data, actor)
        SELECT $1, head.number - cardinality($2::uuid[]) + c.position,
            c.id, c.type, c.at, c.user_id, c.data, c.actor
        FROM head, unnest($2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
            WITH ORDINALITY AS c (id, type, at, user_id, data, actor, position)";
    ID_TAKEN = "
        SELECT number, at, data FROM changes
        WHERE environment_id = $1 AND user_id = $2 AND number < $3
            AND (type = 'user.created' OR (type = 'user.updated' AND data LIKE '%\"previousId\":%'))
        ORDER BY number DESC LIMIT 1";
    FORGET_ID_IN_CHANGES = "
        UPDATE changes SET user_id = $3
        WHERE environment_id = $1 AND user_id = $2 AND number >= $4 AND number < $5";
    FORGET_PREVIOUS_ID = "UPDATE changes SET data = $3 WHERE environment_id = $1 AND number = $2";
    FORGET_ID_IN_AUDIT_LOG = "
        UPDATE audit_log SET subject = $3
        WHERE environment_id = $1 AND subject = $2 AND kind = 'user' AND at >= $4 AND at <= $5";
    APPEND_AUDIT_LOG = "
        INSERT INTO audit_log
            (environment_id, id, at, actor, action, kind, subject, before, after, request_id)
        SELECT $1, n.*
        FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::text[], $10::text[]) n";
    CHANGES_BOUNDS = "
        SELECT coalesce(h.number, 0), coalesce(c.number, h.number + 1, 1)
        FROM (VALUES ($1::bigint)) e (id)
        LEFT JOIN change_heads h ON h.environment_id = e.id
        LEFT JOIN LATERAL (
            SELECT number FROM changes WHERE environment_id = e.id ORDER BY number LIMIT 1
        ) c ON true";
    CHANGES = "
        SELECT number, id, type, at, user_id, data FROM (
            SELECT number, id, type, at, user_id, data FROM changes
            WHERE environment_id = $1 AND number > $2 ORDER BY number LIMIT $3) c
        WHERE $4::text[] IS NULL OR type = ANY ($4) ORDER BY number LIMIT $5";
    CHANGES_SCANNED = "
        SELECT count(*), max(number) FROM (
            SELECT number FROM changes
            WHERE environment_id = $1 AND number > $2 ORDER BY number LIMIT $3) c";
    CHANGES_OF_USER = "
        SELECT number, id, type, at, user_id, data FROM (
            SELECT number, id, type, at, user_id, data FROM changes
            WHERE environment_id = $1 AND user_id = $6 AND number > $2
            ORDER BY number LIMIT $3) c
        WHERE $4::text[] IS NULL OR type = ANY ($4) ORDER BY number LIMIT $5";
    CHANGES_OF_USER_SCANNED = "
        SELECT count(*), max(number) FROM (
            SELECT number FROM changes
            WHERE environment_id = $1 AND user_id = $4 AND number > $2
            ORDER BY number LIMIT $3) c";
    // Those that are too old among the first ones go with all before them, so that no gap is left
    // where the clock went back.
    FORGET_CHANGES = "
        DELETE FROM changes WHERE environment_id = $1 AND number <= (
            SELECT max(number) FILTER (WHERE at < $2 OR number <= surplus) FROM (
                SELECT number, at, surplus, bool_or(number > surplus AND at BETWEEN $2 AND $3)
                    OVER (ORDER BY number) AS is_kept
                FROM (SELECT number, at, (
                        SELECT number FROM change_heads WHERE environment_id = $1) - $4 AS surplus
                    FROM changes WHERE environment_id = $1 ORDER BY number LIMIT $5) c) c
            WHERE NOT is_kept)
        RETURNING number";
    AUDIT_LOG = audit_log!("");
    AUDIT_LOG_OF_KIND = audit_log!(" AND kind = $7");
    AUDIT_LOG_OF_SUBJECT = audit_log!(" AND subject = $7 AND ($8::text IS NULL OR kind = $8)");
    FORGET_AUDIT_LOG = "
        DELETE FROM audit_log WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM audit_log WHERE environment_id = $1 AND at < $2
            ORDER BY at, id LIMIT $3))
        RETURNING at";

    // A wait that began later than now began before the clock went back. It begins anew.
    MEND_WAITS = concat!("
        UPDATE jobs SET
            due_at = due_at - (waits_since - ", now_ms!(), "), waits_since = ", now_ms!(), "
        WHERE id = ANY (ARRAY(
            SELECT id FROM jobs WHERE waits_since > ", now_ms!(), "
            LIMIT $1 FOR UPDATE SKIP LOCKED))
        RETURNING id");
    // Of each kind as many as there is room for, and of these those that are due first.
    CLAIM_JOBS = concat!("
        UPDATE jobs SET
            is_running = true, fence = fence + 1, attempts = attempts + 1, again_at = NULL,
            due_at = ", now_ms!(), " + $4, waits_since = ", now_ms!(), ",
            last_error = CASE WHEN is_running THEN $5 ELSE last_error END
        WHERE id = ANY (ARRAY(
            SELECT d.id FROM unnest($1::text[], $2::bigint[]) k (kind, room)
            CROSS JOIN LATERAL (
                SELECT id, due_at FROM jobs
                WHERE kind = k.kind AND failed_at IS NULL AND due_at <= ", now_ms!(), "
                ORDER BY due_at LIMIT k.room FOR UPDATE SKIP LOCKED) d
            ORDER BY d.due_at LIMIT $3))
        RETURNING id, fence, kind, key, environment_id, attempts, state");
    RENEW_LEASE = concat!("
        UPDATE jobs SET due_at = ", now_ms!(), " + $3, waits_since = ", now_ms!(), "
        WHERE id = $1 AND fence = $2 AND is_running
        RETURNING id");
    SAVE_JOB = "
        UPDATE jobs SET state = $3 WHERE id = $1 AND fence = $2 AND is_running RETURNING id";
    // Whoever schedules the job meanwhile holds its row: the first of these two waits for that, and
    // then the second one finds it.
    FINISH_JOB = "
        DELETE FROM jobs WHERE id = $1 AND fence = $2 AND is_running AND again_at IS NULL
        RETURNING id";
    BEGIN_JOB_AGAIN = concat!("
        UPDATE jobs SET
            is_running = false, attempts = 0, due_at = again_at, waits_since = NULL, again_at = NULL,
            state = NULL, last_error = NULL, succeeded_at = ", now_ms!(), "
        WHERE id = $1 AND fence = $2 AND is_running AND again_at IS NOT NULL
        RETURNING id");
    // Due at an instant or, without one, after a wait.
    GO_ON_WITH_JOB = concat!("
        UPDATE jobs SET
            is_running = false, attempts = 0,
            due_at = least(coalesce($3, ", now_ms!(), " + $4), again_at),
            waits_since = CASE WHEN $3 IS NULL THEN ", now_ms!(), " END, again_at = NULL,
            state = $5, last_error = NULL, succeeded_at = ", now_ms!(), "
        WHERE id = $1 AND fence = $2 AND is_running
        RETURNING id");
    RETRY_JOB_LATER = concat!("
        UPDATE jobs SET
            is_running = false, due_at = ", now_ms!(), " + $3, waits_since = ", now_ms!(), ",
            again_at = NULL, last_error = $4
        WHERE id = $1 AND fence = $2 AND is_running
        RETURNING id");
    BURY_JOB = concat!("
        UPDATE jobs SET
            is_running = false, waits_since = NULL, again_at = NULL, last_error = $3,
            due_at = coalesce(again_at, ", now_ms!(), "),
            attempts = CASE WHEN again_at IS NULL THEN attempts ELSE 0 END,
            failed_at = CASE WHEN again_at IS NULL THEN ", now_ms!(), " END
        WHERE id = $1 AND fence = $2 AND is_running
        RETURNING id");
    GIVE_JOB_BACK = concat!("
        UPDATE jobs SET
            is_running = false, attempts = greatest(attempts - 1, 0), due_at = ", now_ms!(), ",
            waits_since = ", now_ms!(), ", again_at = NULL
        WHERE id = $1 AND fence = $2 AND is_running
        RETURNING id");
    // Due at an instant or, without one, after a wait. In the order of the arrays, so that two
    // transactions that schedule the same jobs do not deadlock.
    SCHEDULE_JOBS = concat!("
        INSERT INTO jobs (id, kind, key, environment_id, due_at, waits_since, created_at)
        SELECT n.id, n.kind, n.key, n.environment_id, coalesce(n.due_at, ", now_ms!(), " + n.wait),
            CASE WHEN n.due_at IS NULL THEN ", now_ms!(), " END, ", now_ms!(), "
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
            WITH ORDINALITY AS n (id, kind, key, environment_id, due_at, wait, position)
        ORDER BY n.position
        ON CONFLICT (kind, key, coalesce(environment_id, 0)) DO UPDATE SET
            again_at = CASE WHEN jobs.is_running THEN least(jobs.again_at, excluded.due_at) END,
            due_at = CASE
                WHEN jobs.failed_at IS NOT NULL THEN excluded.due_at
                WHEN jobs.is_running OR jobs.attempts > 0 THEN jobs.due_at
                ELSE least(jobs.due_at, excluded.due_at) END,
            waits_since = CASE
                WHEN jobs.failed_at IS NOT NULL THEN excluded.waits_since
                WHEN jobs.is_running OR jobs.attempts > 0 OR jobs.due_at <= excluded.due_at
                    THEN jobs.waits_since
                ELSE excluded.waits_since END,
            attempts = CASE WHEN jobs.failed_at IS NULL THEN jobs.attempts ELSE 0 END,
            failed_at = NULL");
    JOBS = "
        SELECT j.id, j.kind, j.key, e.kind, j.is_running, j.due_at, j.attempts, j.last_error,
            j.failed_at, j.created_at, j.succeeded_at
        FROM jobs j LEFT JOIN environments e ON e.id = j.environment_id
        ORDER BY j.failed_at IS NULL, j.attempts = j.is_running::int, j.due_at, j.id LIMIT $1";
    RETRY_JOB = concat!("
        UPDATE jobs SET
            due_at = ", now_ms!(), ", waits_since = ", now_ms!(), ", attempts = 0, failed_at = NULL
        WHERE id = $1 AND NOT is_running
        RETURNING id");
    HAS_JOB = "SELECT id FROM jobs WHERE id = $1";
}
