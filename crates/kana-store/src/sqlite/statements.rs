//! Every statement of the embedded engine, so that one test can ask the planner about all of
//! them: each must find its rows by an index.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*
        /// Every statement by its name.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $sql)),*];
    };
}

statements! {
    APP = "SELECT name FROM app WHERE id = 1";
    CREATE_APP = "INSERT INTO app (id, name, created_at) VALUES (1, ?1, ?2) ON CONFLICT (id) DO NOTHING";
    CREATE_ENVIRONMENT = "INSERT INTO environments (kind, catalog_version) VALUES (?1, 0)";
    ENVIRONMENTS = "SELECT id, kind FROM environments ORDER BY id";
    ADD_KEY = "
        INSERT INTO keys (environment_id, kind, hash, last_four, created_at)
        SELECT id, ?2, ?3, ?4, ?5 FROM environments WHERE kind = ?1
        RETURNING id, environment_id";
    KEYS = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at
        FROM keys k JOIN environments e ON e.id = k.environment_id ORDER BY k.id";
    KEY_BY_HASH = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at
        FROM keys k JOIN environments e ON e.id = k.environment_id WHERE k.hash = ?1";
    KEY_BY_ID = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at
        FROM keys k JOIN environments e ON e.id = k.environment_id WHERE k.id = ?1";
    REVOKE_KEY = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";

    SIMPLE_MODE = "SELECT id, simple_mode FROM environments WHERE kind = ?1";
    SET_SIMPLE_MODE = "UPDATE environments SET simple_mode = ?2 WHERE kind = ?1";
    TOKEN_SECRETS = "
        SELECT secret, valid_until FROM token_secrets WHERE environment_id = ?1 ORDER BY id DESC";
    PROVIDE_TOKEN_SECRET = "
        INSERT INTO token_secrets (environment_id, secret, created_at)
        SELECT ?1, ?2, ?3 WHERE NOT EXISTS (
            SELECT 1 FROM token_secrets WHERE environment_id = ?1 AND valid_until IS NULL)";
    SIGNING_TOKEN_SECRET = "
        SELECT secret FROM token_secrets WHERE environment_id = ?1 AND valid_until IS NULL
        ORDER BY id DESC LIMIT 1";
    ADD_TOKEN_SECRET_BY_KIND = "
        INSERT INTO token_secrets (environment_id, secret, created_at)
        SELECT id, ?2, ?3 FROM environments WHERE kind = ?1 RETURNING environment_id";
    FORGET_TOKEN_SECRETS = "
        DELETE FROM token_secrets
        WHERE environment_id = (SELECT id FROM environments WHERE kind = ?1) AND valid_until <= ?2";
    RETIRE_TOKEN_SECRETS = "
        UPDATE token_secrets SET valid_until = min(coalesce(valid_until, ?2), ?2)
        WHERE environment_id = (SELECT id FROM environments WHERE kind = ?1)";

    CATALOG_VERSION = "SELECT catalog_version FROM environments WHERE id = ?1";
    ADVANCE_CATALOG = "
        UPDATE environments SET catalog_version = catalog_version + 1
        WHERE id = ?1 AND catalog_version = ?2 RETURNING catalog_version";
    FEATURES = "
        SELECT id, name, type, unit_label, unit_label_plural, metadata
        FROM features WHERE environment_id = ?1 ORDER BY position";
    PACKAGES = "
        SELECT id, name, is_addon, status, metadata, updated_at
        FROM packages WHERE environment_id = ?1 ORDER BY position";
    PACKAGE_FEATURES = "
        SELECT package_id, feature_id, name, usage_limit, reset_period, overage_enabled
        FROM package_features WHERE environment_id = ?1 ORDER BY package_id, position";
    PACKAGE_BASES = "
        SELECT package_id, base_package_id
        FROM package_bases WHERE environment_id = ?1 ORDER BY package_id, position";
    PUT_FEATURE = "
        INSERT INTO features
            (environment_id, id, position, name, type, unit_label, unit_label_plural, metadata)
        VALUES (?1, ?2,
            (SELECT coalesce(max(position), 0) + 1 FROM features WHERE environment_id = ?1),
            ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (environment_id, id) DO UPDATE SET
            name = excluded.name, type = excluded.type, unit_label = excluded.unit_label,
            unit_label_plural = excluded.unit_label_plural, metadata = excluded.metadata";
    PUT_PACKAGE = "
        INSERT INTO packages
            (environment_id, id, position, name, is_addon, status, metadata, updated_at)
        VALUES (?1, ?2,
            (SELECT coalesce(max(position), 0) + 1 FROM packages WHERE environment_id = ?1),
            ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (environment_id, id) DO UPDATE SET
            name = excluded.name, is_addon = excluded.is_addon, status = excluded.status,
            metadata = excluded.metadata, updated_at = excluded.updated_at";
    PACKAGE_FEATURE_TERMS = "
        SELECT package_id, feature_id, since, terms, is_given, usage_limit, reset_period,
            overage_enabled
        FROM package_feature_terms WHERE environment_id = ?1
        ORDER BY package_id, feature_id, position";
    CLEAR_PACKAGE_FEATURE_TERMS =
        "DELETE FROM package_feature_terms WHERE environment_id = ?1 AND package_id = ?2";
    ADD_PACKAGE_FEATURE_TERMS = "
        INSERT INTO package_feature_terms
            (environment_id, package_id, feature_id, position, since, terms, is_given, usage_limit,
             reset_period, overage_enabled)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    CLEAR_PACKAGE_FEATURES =
        "DELETE FROM package_features WHERE environment_id = ?1 AND package_id = ?2";
    ADD_PACKAGE_FEATURE = "
        INSERT INTO package_features
            (environment_id, package_id, position, feature_id, name, usage_limit, reset_period,
             overage_enabled)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    CLEAR_PACKAGE_BASES = "DELETE FROM package_bases WHERE environment_id = ?1 AND package_id = ?2";
    ADD_PACKAGE_BASE = "
        INSERT INTO package_bases (environment_id, package_id, position, base_package_id)
        VALUES (?1, ?2, ?3, ?4)";
    DELETE_FEATURE = "DELETE FROM features WHERE environment_id = ?1 AND id = ?2";
    DELETE_PACKAGE = "DELETE FROM packages WHERE environment_id = ?1 AND id = ?2";
    NOTE_USAGE = "
        INSERT OR IGNORE INTO features_with_usage (environment_id, feature_id) VALUES (?1, ?2)";
    HAS_USAGE = "SELECT 1 FROM features_with_usage WHERE environment_id = ?1 AND feature_id = ?2";
    // Each user once, however often subscribed: the index has them in order.
    ACTIVE_SUBSCRIBERS = "
        SELECT count(DISTINCT user_key) FROM subscriptions INDEXED BY subscriptions_by_package
        WHERE environment_id = ?1 AND package_id = ?2 AND ended_at IS NULL
            AND status IN ('ACTIVE', 'TRIALING')";

    // Left to itself, the planner takes the primary key and walks every subscription that has ended.
    FACTS = "
        SELECT u.key, s.id, s.package_id, s.status, s.started_at, s.ended_at
        FROM users u
        LEFT JOIN subscriptions s INDEXED BY subscriptions_that_run
            ON s.environment_id = ?1 AND s.user_key = u.key AND s.ended_at IS NULL
        WHERE u.environment_id = ?1 AND u.id = ?2";
    SUBSCRIPTION = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, u.id
        FROM subscriptions s
        JOIN users u ON u.environment_id = s.environment_id AND u.key = s.user_key
        WHERE s.environment_id = ?1 AND s.id = ?2";
    FIRST_SUBSCRIPTIONS = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, u.id
        FROM subscriptions s
        JOIN users u ON u.environment_id = s.environment_id AND u.key = s.user_key
        WHERE s.environment_id = ?1
        ORDER BY s.started_at DESC, s.id DESC LIMIT ?2";
    SUBSCRIPTIONS_AFTER = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, u.id
        FROM subscriptions s
        JOIN users u ON u.environment_id = s.environment_id AND u.key = s.user_key
        WHERE s.environment_id = ?1 AND (s.started_at, s.id) < (?3, ?4)
        ORDER BY s.started_at DESC, s.id DESC LIMIT ?2";
    // One statement for any number of users.
    SUBSCRIPTIONS_OF = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.user_key
        FROM rarray(?2) k
        CROSS JOIN subscriptions s ON s.environment_id = ?1 AND s.user_key = k.value";
    ENDED_SUBSCRIPTIONS = "
        SELECT id, package_id, status, started_at, ended_at
        FROM subscriptions WHERE environment_id = ?1 AND user_key = ?2 AND ended_at IS NOT NULL";
    COUNTER = "
        SELECT used FROM counters
        WHERE environment_id = ?1 AND user_key = ?2 AND subscription_id = ?3
            AND feature_id = ?4 AND terms = ?5 AND period_start = ?6";
    COUNTERS_AFTER = "
        SELECT user_key, subscription_id, feature_id, terms, period_start
        FROM counters
        WHERE environment_id = ?1
            AND (user_key, subscription_id, feature_id, terms, period_start) > (?2, ?3, ?4, ?5, ?6)
        ORDER BY user_key, subscription_id, feature_id, terms, period_start
        LIMIT ?7";
    // The log of counters is as short as one batch of writing them allows.
    COUNTERS_LOGGED = "SELECT environment_id, counters FROM counter_log ORDER BY id";
    LAST_NUMBER_LOGGED = "
        SELECT number FROM counter_log WHERE id = (SELECT max(id) FROM counter_log)";
    LOG_COUNTERS = "
        INSERT INTO counter_log (number, environment_id, counters) VALUES (?1, ?2, ?3)";
    FORGET_COUNTERS_LOGGED = "DELETE FROM counter_log WHERE id <= ?1";
    REPLAY = "
        SELECT user_key, feature_id, action, delta, occurred_at, answer, kept_at
        FROM replays WHERE environment_id = ?1 AND idempotency_key = ?2";

    KEYS_KEPT_BEFORE = "
        SELECT idempotency_key FROM replays
        WHERE environment_id = ?1 AND kept_at < ?2 ORDER BY kept_at LIMIT ?3";
    FORGET_KEY = "DELETE FROM replays WHERE environment_id = ?1 AND idempotency_key = ?2";

    ADD_SUBSCRIPTION = "
        INSERT INTO subscriptions
            (environment_id, user_key, id, package_id, status, started_at, ended_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    CANCEL_SUBSCRIPTION = "
        UPDATE subscriptions SET status = 'CANCELLED', ended_at = ?4
        WHERE environment_id = ?1 AND user_key = ?2 AND id = ?3";
    SET_COUNTER = "
        INSERT INTO counters
            (environment_id, user_key, subscription_id, feature_id, terms, period_start, used)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT DO UPDATE SET used = excluded.used";
    DELETE_COUNTER = "
        DELETE FROM counters
        WHERE environment_id = ?1 AND user_key = ?2 AND subscription_id = ?3
            AND feature_id = ?4 AND terms = ?5 AND period_start = ?6";
    LOG_EVENT = "
        INSERT INTO events
            (environment_id, user_key, feature_id, action, delta, occurred_at, recorded_at,
             subscription_id, idempotency_key, metadata)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    // They stand in the order in which they were recorded, so that the oldest are the first rows.
    FORGET_EVENTS = "
        DELETE FROM events WHERE recorded_at < ?1
            AND id IN (SELECT id FROM events ORDER BY id LIMIT ?2)";
    KEEP_REPLAY = "
        INSERT INTO replays
            (environment_id, idempotency_key, user_key, feature_id, action, delta, occurred_at,
             answer, kept_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

    ADVANCE_CHANGES = "
        INSERT INTO change_heads (environment_id, number) VALUES (?1, ?2)
        ON CONFLICT (environment_id) DO UPDATE SET number = number + excluded.number
        RETURNING number";
    ADD_CHANGE = "
        INSERT INTO changes (environment_id, number, id, type, at, user_id, data, actor)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    ADD_AUDIT_ENTRY = "
        INSERT INTO audit_log
            (environment_id, id, at, actor, action, kind, subject, before, after)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    NEWEST_CHANGE = "SELECT number FROM change_heads WHERE environment_id = ?1";
    FIRST_CHANGE = "SELECT min(number) FROM changes WHERE environment_id = ?1";
    CHANGES = "
        SELECT number, id, type, at, user_id, data FROM changes
        WHERE environment_id = ?1 AND number > ?2 AND number <= ?3 ORDER BY number LIMIT ?4";
    CHANGES_OF_USER = "
        SELECT number, id, type, at, user_id, data FROM changes
        WHERE environment_id = ?1 AND user_id = ?5 AND number > ?2 AND number <= ?3
        ORDER BY number LIMIT ?4";
    // Those that are too old among the first ones go with all before them, so that no gap is left
    // where the clock went back.
    FORGET_CHANGES = "
        DELETE FROM changes WHERE environment_id = ?1 AND number <= (
            SELECT max(number) FROM (
                SELECT number, at FROM changes WHERE environment_id = ?1
                ORDER BY number LIMIT ?4)
            WHERE at < ?2 OR number <= (
                SELECT number FROM change_heads WHERE environment_id = ?1) - ?3)";
    AUDIT_LOG = "
        SELECT id, at, actor, action, kind, subject, before, after, request_id FROM audit_log
        WHERE environment_id = ?1 AND (at, id) < (?2, ?3) AND at >= ?4
        ORDER BY at DESC, id DESC LIMIT ?5";
    AUDIT_LOG_OF_KIND = "
        SELECT id, at, actor, action, kind, subject, before, after, request_id FROM audit_log
        WHERE environment_id = ?1 AND kind = ?6 AND (at, id) < (?2, ?3) AND at >= ?4
        ORDER BY at DESC, id DESC LIMIT ?5";
    AUDIT_LOG_OF_SUBJECT = "
        SELECT id, at, actor, action, kind, subject, before, after, request_id FROM audit_log
        WHERE environment_id = ?1 AND subject = ?6 AND (at, id) < (?2, ?3) AND at >= ?4
            AND (?7 IS NULL OR kind = ?7)
        ORDER BY at DESC, id DESC LIMIT ?5";
    FORGET_AUDIT_LOG = "
        DELETE FROM audit_log WHERE rowid IN (
            SELECT rowid FROM audit_log WHERE environment_id = ?1 AND at < ?2
            ORDER BY at, id LIMIT ?3)";

    // A wait that began later than now began before the clock went back. It begins anew.
    WAITS_SINCE_LATER = "SELECT 1 FROM jobs WHERE waits_since > ?1 LIMIT 1";
    MEND_WAITS = "
        UPDATE jobs SET due_at = due_at - (waits_since - ?1), waits_since = ?1
        WHERE id IN (SELECT id FROM jobs WHERE waits_since > ?1 LIMIT ?2)";
    JOBS_DUE = "
        SELECT due_at, id FROM jobs
        WHERE kind = ?1 AND failed_at IS NULL AND due_at <= ?2 ORDER BY due_at LIMIT ?3";
    // They are due since they were claimed.
    END_LEASES = "UPDATE jobs SET due_at = waits_since WHERE is_running = 1";
    CLAIM_JOB = "
        UPDATE jobs SET
            is_running = 1, fence = fence + 1, attempts = attempts + 1, again_at = NULL,
            due_at = ?2, waits_since = ?3,
            last_error = CASE WHEN is_running THEN ?4 ELSE last_error END
        WHERE id = ?1
        RETURNING id, fence, kind, key, environment_id, attempts, state";
    RENEW_LEASE = "
        UPDATE jobs SET due_at = ?3, waits_since = ?4 WHERE id = ?1 AND fence = ?2 AND is_running";
    SAVE_JOB = "UPDATE jobs SET state = ?3 WHERE id = ?1 AND fence = ?2 AND is_running";
    FINISH_JOB = "
        DELETE FROM jobs WHERE id = ?1 AND fence = ?2 AND is_running AND again_at IS NULL";
    BEGIN_JOB_AGAIN = "
        UPDATE jobs SET
            is_running = 0, attempts = 0, due_at = again_at, waits_since = NULL, again_at = NULL,
            state = NULL, last_error = NULL, succeeded_at = ?3
        WHERE id = ?1 AND fence = ?2 AND is_running AND again_at IS NOT NULL";
    GO_ON_WITH_JOB = "
        UPDATE jobs SET
            is_running = 0, attempts = 0, due_at = min(?4, coalesce(again_at, ?4)),
            waits_since = ?5, again_at = NULL, state = ?6, last_error = NULL, succeeded_at = ?3
        WHERE id = ?1 AND fence = ?2 AND is_running";
    RETRY_JOB_LATER = "
        UPDATE jobs SET
            is_running = 0, due_at = ?3, waits_since = ?4, again_at = NULL, last_error = ?5
        WHERE id = ?1 AND fence = ?2 AND is_running";
    BURY_JOB = "
        UPDATE jobs SET
            is_running = 0, waits_since = NULL, again_at = NULL, last_error = ?4,
            due_at = coalesce(again_at, ?3),
            attempts = CASE WHEN again_at IS NULL THEN attempts ELSE 0 END,
            failed_at = CASE WHEN again_at IS NULL THEN ?3 END
        WHERE id = ?1 AND fence = ?2 AND is_running";
    GIVE_JOB_BACK = "
        UPDATE jobs SET
            is_running = 0, attempts = max(attempts - 1, 0), due_at = ?3, waits_since = ?3,
            again_at = NULL
        WHERE id = ?1 AND fence = ?2 AND is_running";
    SCHEDULE_JOB = "
        INSERT INTO jobs (id, kind, key, environment_id, due_at, waits_since, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (kind, key, coalesce(environment_id, 0)) DO UPDATE SET
            again_at = CASE WHEN is_running
                THEN min(coalesce(again_at, excluded.due_at), excluded.due_at) END,
            due_at = CASE
                WHEN failed_at IS NOT NULL THEN excluded.due_at
                WHEN is_running OR attempts > 0 THEN due_at
                ELSE min(due_at, excluded.due_at) END,
            waits_since = CASE
                WHEN failed_at IS NOT NULL THEN excluded.waits_since
                WHEN is_running OR attempts > 0 OR due_at <= excluded.due_at THEN waits_since
                ELSE excluded.waits_since END,
            attempts = CASE WHEN failed_at IS NULL THEN attempts ELSE 0 END,
            failed_at = NULL";
    JOBS = "
        SELECT j.id, j.kind, j.key, e.kind, j.is_running, j.due_at, j.attempts, j.last_error,
            j.failed_at, j.created_at, j.succeeded_at
        FROM jobs j LEFT JOIN environments e ON e.id = j.environment_id
        ORDER BY j.failed_at IS NULL, j.attempts = j.is_running, j.due_at, j.id LIMIT ?1";
    RETRY_JOB = "
        UPDATE jobs SET due_at = ?2, waits_since = ?2, attempts = 0, failed_at = NULL
        WHERE id = ?1 AND NOT is_running";
    HAS_JOB = "SELECT 1 FROM jobs WHERE id = ?1";
}
