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
pub(super) use statements;

statements! {
    APP = "SELECT name FROM app WHERE id = 1";
    CREATE_APP = "INSERT INTO app (id, name, created_at) VALUES (1, ?1, ?2) ON CONFLICT (id) DO NOTHING";
    CREATE_ENVIRONMENT = "INSERT INTO environments (kind, catalog_version) VALUES (?1, 0)";
    ENVIRONMENTS = "SELECT id, kind FROM environments ORDER BY id";
    ADD_KEY = "
        INSERT INTO keys (environment_id, kind, hash, last_four, created_at, name, created_by, expires_at)
        SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM environments WHERE kind = ?1
        RETURNING id, environment_id";
    KEYS = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at,
            k.name, k.created_by, k.last_used_at, k.expires_at
        FROM keys k JOIN environments e ON e.id = k.environment_id ORDER BY k.id";
    KEY_BY_HASH = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at,
            k.name, k.created_by, k.last_used_at, k.expires_at
        FROM keys k JOIN environments e ON e.id = k.environment_id WHERE k.hash = ?1";
    KEY_BY_ID = "
        SELECT k.id, k.environment_id, e.kind, k.kind, k.last_four, k.created_at, k.revoked_at,
            k.name, k.created_by, k.last_used_at, k.expires_at
        FROM keys k JOIN environments e ON e.id = k.environment_id WHERE k.id = ?1";
    NOTE_KEY_USE = "
        UPDATE keys SET last_used_at = ?2
        WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)";
    REVOKE_KEY = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";

    ADMINS = "
        SELECT id, email, role, password_hash IS NOT NULL, created_at, last_sign_in_at
        FROM admins ORDER BY id";
    CREDENTIALS = "
        SELECT id, email, role, password_hash IS NOT NULL, created_at, last_sign_in_at,
            password_hash
        FROM admins WHERE email_folded = ?1";
    CREDENTIALS_BY_ID = "
        SELECT id, email, role, password_hash IS NOT NULL, created_at, last_sign_in_at,
            password_hash
        FROM admins WHERE id = ?1";
    ADD_ADMIN = "
        INSERT INTO admins (app_id, email, email_folded, role, created_at)
        VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT (email_folded) DO NOTHING RETURNING id";
    SET_PASSWORD = "UPDATE admins SET password_hash = ?2 WHERE id = ?1";
    SET_ROLE = "UPDATE admins SET role = ?2 WHERE id = ?1";
    NOTE_SIGN_IN = "UPDATE admins SET last_sign_in_at = ?2 WHERE id = ?1";
    REMOVE_ADMIN = "DELETE FROM admins WHERE id = ?1";
    SESSION = "
        SELECT a.id, a.email, a.role, a.password_hash IS NOT NULL, a.created_at, a.last_sign_in_at,
            s.hash, s.admin_id, s.created_at, s.last_seen_at, s.ends_at, s.address, s.browser,
            app.name
        FROM sessions s JOIN admins a ON a.id = s.admin_id JOIN app ON app.id = a.app_id
        WHERE s.hash = ?1";
    SESSIONS_OF = "
        SELECT hash, admin_id, created_at, last_seen_at, ends_at, address, browser
        FROM sessions WHERE admin_id = ?1 ORDER BY created_at DESC, hash";
    // All but the newest.
    END_OLDEST_SESSIONS = "
        DELETE FROM sessions WHERE hash IN (
            SELECT hash FROM sessions WHERE admin_id = ?1
            ORDER BY created_at DESC LIMIT -1 OFFSET ?2)";
    ADD_SESSION = "
        INSERT INTO sessions (hash, admin_id, created_at, last_seen_at, ends_at, address, browser)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    NOTE_SEEN = "
        UPDATE sessions SET last_seen_at = ?2, ends_at = ?3 WHERE hash = ?1 AND last_seen_at < ?2";
    END_SESSION = "DELETE FROM sessions WHERE hash = ?1";
    END_SESSIONS = "DELETE FROM sessions WHERE admin_id = ?1 AND (?2 IS NULL OR hash <> ?2)";
    FORGET_SESSIONS = "
        DELETE FROM sessions WHERE hash IN (
            SELECT hash FROM sessions WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)";
    OPEN_INVITATIONS = "
        SELECT count(*) FROM invitations WHERE expires_at > ?1 AND used_at IS NULL";
    ADD_INVITATION = "
        INSERT INTO invitations (hash, admin_id, role, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    INVITATION = "
        SELECT a.id, a.email, a.role, a.password_hash IS NOT NULL, a.created_at, a.last_sign_in_at,
            i.role
        FROM invitations i LEFT JOIN admins a ON a.id = i.admin_id
        WHERE i.hash = ?1 AND i.used_at IS NULL AND i.expires_at > ?2";
    USE_INVITATION = "UPDATE invitations SET used_at = ?2 WHERE hash = ?1";
    WITHDRAW_INVITATIONS = "DELETE FROM invitations WHERE admin_id = ?1";
    FORGET_INVITATIONS = "
        DELETE FROM invitations WHERE hash IN (
            SELECT hash FROM invitations WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    CLAIM_FORM = "
        INSERT INTO sent_forms (hash, sent_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    FORM = "SELECT led_to FROM sent_forms WHERE hash = ?1";
    SETTLE_FORM = "UPDATE sent_forms SET led_to = ?2 WHERE hash = ?1";
    GIVE_UP_FORM = "DELETE FROM sent_forms WHERE hash = ?1";
    FORGET_FORMS = "
        DELETE FROM sent_forms WHERE hash IN (
            SELECT hash FROM sent_forms WHERE sent_at <= ?1 ORDER BY sent_at LIMIT ?2)";
    SET_APP_NAME = "UPDATE app SET name = ?1 WHERE id = 1";

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
        SELECT id, name, type, unit_label, unit_label_plural, metadata, thresholds,
            draws_on, cost
        FROM features WHERE environment_id = ?1 ORDER BY position";
    PACKAGES = "
        SELECT id, name, is_addon, status, metadata, updated_at
        FROM packages WHERE environment_id = ?1 ORDER BY position";
    PACKAGE_FEATURES = "
        SELECT package_id, feature_id, name, usage_limit, reset_period, reset_anchor,
            overage_enabled, stacking, rollover_periods, rollover_max
        FROM package_features WHERE environment_id = ?1 ORDER BY package_id, position";
    PACKAGE_BASES = "
        SELECT package_id, base_package_id
        FROM package_bases WHERE environment_id = ?1 ORDER BY package_id, position";
    PUT_FEATURE = "
        INSERT INTO features
            (environment_id, id, position, name, type, unit_label, unit_label_plural, metadata,
             thresholds, draws_on, cost)
        VALUES (?1, ?2,
            (SELECT coalesce(max(position), 0) + 1 FROM features WHERE environment_id = ?1),
            ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT (environment_id, id) DO UPDATE SET
            name = excluded.name, type = excluded.type, unit_label = excluded.unit_label,
            unit_label_plural = excluded.unit_label_plural, metadata = excluded.metadata,
            thresholds = excluded.thresholds, draws_on = excluded.draws_on, cost = excluded.cost";
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
            reset_anchor, overage_enabled, stacking, rollover_periods, rollover_max
        FROM package_feature_terms WHERE environment_id = ?1
        ORDER BY package_id, feature_id, position";
    CLEAR_PACKAGE_FEATURE_TERMS =
        "DELETE FROM package_feature_terms WHERE environment_id = ?1 AND package_id = ?2";
    ADD_PACKAGE_FEATURE_TERMS = "
        INSERT INTO package_feature_terms
            (environment_id, package_id, feature_id, position, since, terms, is_given, usage_limit,
             reset_period, reset_anchor, overage_enabled, stacking, rollover_periods, rollover_max)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    CLEAR_PACKAGE_FEATURES =
        "DELETE FROM package_features WHERE environment_id = ?1 AND package_id = ?2";
    ADD_PACKAGE_FEATURE = "
        INSERT INTO package_features
            (environment_id, package_id, position, feature_id, name, usage_limit, reset_period,
             reset_anchor, overage_enabled, stacking, rollover_periods, rollover_max)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    CLEAR_PACKAGE_BASES = "DELETE FROM package_bases WHERE environment_id = ?1 AND package_id = ?2";
    ADD_PACKAGE_BASE = "
        INSERT INTO package_bases (environment_id, package_id, position, base_package_id)
        VALUES (?1, ?2, ?3, ?4)";
    DELETE_FEATURE = "DELETE FROM features WHERE environment_id = ?1 AND id = ?2";
    DELETE_PACKAGE = "DELETE FROM packages WHERE environment_id = ?1 AND id = ?2";
    NOTE_USAGE = "
        INSERT OR IGNORE INTO features_with_usage (environment_id, feature_id) VALUES (?1, ?2)";
    HAVE_USAGE = "
        SELECT f.feature_id FROM rarray(?2) k
        CROSS JOIN features_with_usage f ON f.environment_id = ?1 AND f.feature_id = k.value";
    ACTIVE_SUBSCRIBERS = "
        SELECT k.value,
            coalesce((SELECT p.subscribers FROM package_subscribers p
                WHERE p.environment_id = ?1 AND p.package_id = k.value), 0)
            + (SELECT count(DISTINCT s.user_key)
                FROM subscriptions s INDEXED BY subscriptions_by_clock
                WHERE s.environment_id = ?1 AND s.package_id = k.value AND s.ended_at IS NULL
                    AND coalesce(s.timing ->> 2,
                        CASE s.timing ->> 0 WHEN 1 THEN 9223372036854775807 END) > ?3
                    AND (s.timing ->> 0 = 0 OR s.started_at <= ?3)
                    AND s.status IN ('ACTIVE', 'TRIALING')
                    AND NOT EXISTS (
                        SELECT 1 FROM subscriptions other INDEXED BY subscriptions_by_package
                        WHERE other.environment_id = ?1 AND other.package_id = k.value
                            AND other.user_key = s.user_key AND other.ended_at IS NULL
                            AND coalesce(other.timing ->> 2, nullif(other.timing ->> 0, 0)) IS NULL
                            AND other.status IN ('ACTIVE', 'TRIALING')))
        FROM rarray(?2) k";

    SUBSCRIBERS_AFTER = "
        SELECT DISTINCT user_key FROM subscriptions INDEXED BY subscriptions_by_package
        WHERE environment_id = ?1 AND package_id = ?2 AND user_key > ?3 AND ended_at IS NULL
            AND status IN ('ACTIVE', 'TRIALING')
            AND (timing IS NULL OR ((timing ->> 0 = 0 OR started_at <= ?5)
                AND coalesce(timing ->> 2 > ?5, 1)))
        ORDER BY user_key LIMIT ?4";
    SUBSCRIBERS_AMONG = "
        SELECT s.user_key FROM rarray(?3) k
        CROSS JOIN subscriptions s INDEXED BY subscriptions_by_package
            ON s.environment_id = ?1 AND s.package_id = ?2 AND s.user_key = k.value
            AND s.ended_at IS NULL AND s.status IN ('ACTIVE', 'TRIALING')
            AND (s.timing IS NULL OR ((s.timing ->> 0 = 0 OR s.started_at <= ?4)
                AND coalesce(s.timing ->> 2 > ?4, 1)))";

    ADD_SEARCH_ENTRY = "
        INSERT INTO user_search (environment_id, shared, text, user_key) VALUES (?1, ?2, ?3, ?4)";
    DELETE_SEARCH_ENTRY = "
        DELETE FROM user_search
        WHERE environment_id = ?1 AND shared = ?2 AND text = ?3 AND user_key = ?4";
    SEARCH_ENTRIES_AFTER = "
        SELECT text, user_key FROM user_search
        WHERE environment_id = ?1 AND shared = ?2 AND (text, user_key) > (?3, ?4)
        ORDER BY text, user_key LIMIT ?5";

    // Left to itself, the planner takes the primary key and walks every subscription that has ended.
    FACTS = "
        SELECT u.key, s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            EXISTS (SELECT 1 FROM overrides o WHERE o.environment_id = ?1 AND o.user_key = u.key),
            EXISTS (SELECT 1 FROM grants g WHERE g.environment_id = ?1 AND g.user_key = u.key),
            EXISTS (SELECT 1 FROM holds h INDEXED BY holds_that_may_live
                WHERE h.environment_id = ?1 AND h.user_key = u.key AND h.ended_at IS NULL)
        FROM users u
        LEFT JOIN subscriptions s INDEXED BY subscriptions_that_run
            ON s.environment_id = ?1 AND s.user_key = u.key AND s.ended_at IS NULL
        WHERE u.environment_id = ?1 AND u.id = ?2";
    FACTS_BY_ID = "
        SELECT user_key, has_overrides, has_grants, has_holds, running FROM user_facts
        WHERE environment_id = ?1 AND user_id = ?2";
    USER_FACTS_TO_GATHER = "
        SELECT environment_id, after_id FROM user_facts_to_gather ORDER BY environment_id LIMIT 1";
    LAST_USER_TO_GATHER = "
        SELECT max(id) FROM (
            SELECT id FROM users INDEXED BY users_by_id
            WHERE environment_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3)";
    GATHER_USER_FACTS = "
        INSERT INTO user_facts
            (environment_id, user_id, user_key, has_overrides, has_grants, has_holds, running)
        SELECT ?1, u.id, u.key,
            EXISTS (SELECT 1 FROM overrides o WHERE o.environment_id = ?1 AND o.user_key = u.key),
            EXISTS (SELECT 1 FROM grants g WHERE g.environment_id = ?1 AND g.user_key = u.key),
            EXISTS (SELECT 1 FROM holds h INDEXED BY holds_that_may_live
                WHERE h.environment_id = ?1 AND h.user_key = u.key AND h.ended_at IS NULL),
            (SELECT running_subscriptions(
                    s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
                FROM subscriptions s INDEXED BY subscriptions_that_run
                WHERE s.environment_id = ?1 AND s.user_key = u.key AND s.ended_at IS NULL)
        FROM users u INDEXED BY users_by_id
        WHERE u.environment_id = ?1 AND u.id > ?2 AND u.id <= ?3 ORDER BY u.id
        ON CONFLICT (environment_id, user_id) DO NOTHING";
    NOTE_GATHERED = "UPDATE user_facts_to_gather SET after_id = ?2 WHERE environment_id = ?1";
    END_GATHERING = "DELETE FROM user_facts_to_gather WHERE environment_id = ?1";
    OVERRIDES_OF = "
        SELECT feature_id, id, kind, usage_limit, reset_period, reset_anchor, overage_enabled,
            starts_at, ends_at, reason, history
        FROM overrides WHERE environment_id = ?1 AND user_key = ?2";
    PUT_OVERRIDE = "
        INSERT INTO overrides
            (environment_id, user_key, feature_id, id, kind, usage_limit, reset_period, reset_anchor,
             overage_enabled, starts_at, ends_at, reason, history)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
        ON CONFLICT (environment_id, user_key, feature_id) DO UPDATE SET
            id = excluded.id, kind = excluded.kind, usage_limit = excluded.usage_limit,
            reset_period = excluded.reset_period, reset_anchor = excluded.reset_anchor,
            overage_enabled = excluded.overage_enabled, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, reason = excluded.reason, history = excluded.history";
    DELETE_OVERRIDE = "
        DELETE FROM overrides WHERE environment_id = ?1 AND user_key = ?2 AND feature_id = ?3";
    DELETE_OVERRIDES_OF = "DELETE FROM overrides WHERE environment_id = ?1 AND user_key = ?2";
    GRANTS_OF = "
        SELECT key, id, feature_id, amount, drawn, priority, starts_at, expires_at, voided_at, reason,
            created_at
        FROM grants WHERE environment_id = ?1 AND user_key = ?2 ORDER BY key";
    PUT_GRANT = "
        INSERT INTO grants
            (environment_id, user_key, key, id, feature_id, amount, drawn, priority, starts_at,
             expires_at, voided_at, reason, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
        ON CONFLICT (environment_id, user_key, key) DO UPDATE SET
            drawn = excluded.drawn, voided_at = excluded.voided_at";
    SET_DRAWN = "
        UPDATE grants SET drawn = ?4 WHERE environment_id = ?1 AND user_key = ?2 AND key = ?3";
    DELETE_GRANT = "
        DELETE FROM grants WHERE environment_id = ?1 AND user_key = ?2 AND key = ?3";
    DELETE_GRANTS_OF = "DELETE FROM grants WHERE environment_id = ?1 AND user_key = ?2";
    LIVING_HOLDS_OF = "
        SELECT h.id, h.feature_id, h.amount, h.cost, h.balance_id, h.subscription_id, h.terms,
            h.period_start, h.created_at, h.expires_at, h.ended_at, h.settled
        FROM rarray(?3) k
        CROSS JOIN holds h INDEXED BY holds_by_balance
            ON h.environment_id = ?1 AND h.user_key = ?2 AND h.balance_id = k.value
            AND h.ended_at IS NULL AND h.expires_at > ?4";
    SOME_HOLD_LIVES = "
        SELECT 1 FROM holds INDEXED BY holds_that_may_live
        WHERE environment_id = ?1 AND user_key = ?2 AND ended_at IS NULL AND expires_at > ?3
        LIMIT 1";
    HOLD = "
        SELECT id, feature_id, amount, cost, balance_id, subscription_id, terms, period_start, created_at,
            expires_at, ended_at, settled
        FROM holds WHERE environment_id = ?1 AND user_key = ?2 AND id = ?3";
    PUT_HOLD = "
        INSERT INTO holds
            (environment_id, user_key, id, feature_id, amount, cost, balance_id, subscription_id, terms,
             period_start, created_at, expires_at, ended_at, settled)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
        ON CONFLICT (environment_id, user_key, id) DO UPDATE SET
            subscription_id = excluded.subscription_id, terms = excluded.terms,
            period_start = excluded.period_start,
            expires_at = excluded.expires_at, ended_at = excluded.ended_at,
            settled = excluded.settled";
    FORGET_HOLDS = "
        DELETE FROM holds
        WHERE environment_id = ?1 AND (user_key, id) IN (
            SELECT user_key, id FROM holds INDEXED BY holds_by_end
            WHERE environment_id = ?1 AND coalesce(ended_at, expires_at) < ?2
            ORDER BY coalesce(ended_at, expires_at) LIMIT ?3)";
    SUBSCRIPTION = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            u.id
        FROM subscriptions s
        JOIN users u ON u.environment_id = s.environment_id AND u.key = s.user_key
        WHERE s.environment_id = ?1 AND s.id = ?2";
    FIRST_SUBSCRIPTIONS = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            u.id
        FROM subscriptions s
        JOIN users u ON u.environment_id = s.environment_id AND u.key = s.user_key
        WHERE s.environment_id = ?1
        ORDER BY s.started_at DESC, s.id DESC LIMIT ?2";
    SUBSCRIPTIONS_AFTER = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            u.id
        FROM subscriptions s
        JOIN users u ON u.environment_id = s.environment_id AND u.key = s.user_key
        WHERE s.environment_id = ?1 AND (s.started_at, s.id) < (?3, ?4)
        ORDER BY s.started_at DESC, s.id DESC LIMIT ?2";
    // One statement for any number of users.
    SUBSCRIPTIONS_OF = "
        SELECT s.id, s.package_id, s.status, s.started_at, s.ended_at, s.quantities, s.timing,
            s.user_key
        FROM rarray(?2) k
        CROSS JOIN subscriptions s ON s.environment_id = ?1 AND s.user_key = k.value";
    ENDED_SUBSCRIPTIONS = "
        SELECT id, package_id, status, started_at, ended_at, quantities, timing
        FROM subscriptions WHERE environment_id = ?1 AND user_key = ?2 AND ended_at IS NOT NULL";
    COUNTER = "
        SELECT used, marks FROM counters
        WHERE environment_id = ?1 AND user_key = ?2 AND subscription_id = ?3
            AND feature_id = ?4 AND terms = ?5 AND period_start = ?6";
    COUNTER_SERIES = "
        SELECT period_start, used, marks FROM counters
        WHERE environment_id = ?1 AND user_key = ?2 AND subscription_id = ?3
            AND feature_id = ?4 AND terms = ?5 AND period_start BETWEEN ?6 AND ?7";
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
        INSERT INTO counter_log (number, environment_id, counters, usage) VALUES (?1, ?2, ?3, ?4)";
    FORGET_COUNTERS_LOGGED = "DELETE FROM counter_log WHERE id <= ?1";
    // The ids of the log begin anew when it is empty.
    RESET_USAGE_FOLDED = "
        UPDATE usage_folding SET through = 0
        WHERE id = 1 AND NOT EXISTS (SELECT 1 FROM counter_log)";

    UNFOLDED_USAGE = "
        SELECT environment_id, usage FROM counter_log
        WHERE id > (SELECT through FROM usage_folding WHERE id = 1) AND usage IS NOT NULL";
    NOTE_USAGE_FOLDED = "UPDATE usage_folding SET through = ?1 WHERE id = 1";
    USAGE_OF_DAY = "
        SELECT events, amount, uncounted FROM usage_by_day
        WHERE environment_id = ?1 AND day = ?2 AND feature_id = ?3";
    SET_USAGE_OF_DAY = "
        INSERT INTO usage_by_day (environment_id, day, feature_id, events, amount, uncounted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET
            events = excluded.events, amount = excluded.amount, uncounted = excluded.uncounted";
    USAGE_BY_DAY_OF_FEATURE = "
        SELECT u.day, u.events, u.amount, u.uncounted
        FROM rarray(?2) d
        CROSS JOIN usage_by_day u
            ON u.environment_id = ?1 AND u.day = d.value AND u.feature_id = ?3";
    USAGE_BY_DAY = "
        SELECT day, events, uncounted FROM usage_totals
        WHERE environment_id = ?1 AND day >= ?2 AND day <= ?3";
    ADD_TO_USAGE_TOTALS = "
        INSERT INTO usage_totals (environment_id, day, events, uncounted) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET
            events = events + excluded.events, uncounted = uncounted + excluded.uncounted";
    FORGET_USAGE_TOTALS = "
        DELETE FROM usage_totals
        WHERE environment_id = ?1 AND day IN (
            SELECT day FROM usage_totals WHERE environment_id = ?1 AND day < ?2
            ORDER BY day LIMIT ?3)";
    // The halves of the amount by themselves, since their sum may not fit into 64 bits.
    USAGE_BY_FEATURE = "
        SELECT feature_id, sum(events), sum(amount >> 32), sum(amount & 4294967295), sum(uncounted)
        FROM usage_by_day
        WHERE environment_id = ?1 AND day >= ?2 AND day <= ?3 GROUP BY feature_id";
    USAGE_SINCE = "SELECT day FROM usage_since WHERE environment_id = ?1";
    FORGET_USAGE_BY_DAY = "
        DELETE FROM usage_by_day
        WHERE environment_id = ?1 AND (day, feature_id) IN (
            SELECT day, feature_id FROM usage_by_day WHERE environment_id = ?1 AND day < ?2
            ORDER BY day, feature_id LIMIT ?3)";

    // The newest first, whoever's they are: a user who is gone is left out.
    LIMIT_CROSSINGS = "
        SELECT u.id, c.feature_id
        FROM (
            SELECT user_key, feature_id, period_end, crossed_at
            FROM limit_crossings INDEXED BY limit_crossings_by_time
            WHERE environment_id = ?1 ORDER BY crossed_at DESC LIMIT ?3) c
        CROSS JOIN users u ON u.environment_id = ?1 AND u.key = c.user_key
        WHERE c.period_end > ?2 ORDER BY c.crossed_at DESC";
    CROSS_LIMIT = "
        INSERT INTO limit_crossings
            (environment_id, user_key, feature_id, period_end, share, crossed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET crossed_at = excluded.crossed_at";
    FORGET_LIMIT_CROSSINGS = "
        DELETE FROM limit_crossings
        WHERE environment_id = ?1 AND (user_key, feature_id, period_end, share) IN (
            SELECT user_key, feature_id, period_end, share
            FROM limit_crossings INDEXED BY limit_crossings_by_end
            WHERE environment_id = ?1 AND period_end <= ?2 ORDER BY period_end LIMIT ?3)";
    ADD_THRESHOLD_EVENT = "
        INSERT INTO threshold_events
            (environment_id, id, user_key, feature_id, threshold, period_start, period_end, used,
             budget, overage_enabled, at, carried, granted, held)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    THRESHOLD_EVENTS_AFTER = "
        SELECT e.id, e.feature_id, e.threshold, e.period_start, e.period_end, e.used, e.budget,
            e.overage_enabled, e.at, e.carried, e.granted, e.held, u.id
        FROM threshold_events e INDEXED BY threshold_events_by_arrival
        CROSS JOIN users u ON u.environment_id = ?1 AND u.key = e.user_key
        WHERE e.environment_id = ?1 AND e.id > ?2 ORDER BY e.id LIMIT ?3";
    THRESHOLD_EVENTS_OF_USER_AFTER = "
        SELECT e.id, e.feature_id, e.threshold, e.period_start, e.period_end, e.used, e.budget,
            e.overage_enabled, e.at, e.carried, e.granted, e.held, u.id
        FROM threshold_events e
        CROSS JOIN users u ON u.environment_id = ?1 AND u.key = e.user_key
        WHERE e.environment_id = ?1 AND e.user_key = ?4 AND e.id > ?2 ORDER BY e.id LIMIT ?3";
    FORGET_THRESHOLD_EVENTS = "
        DELETE FROM threshold_events
        WHERE environment_id = ?1 AND at < ?2 AND (user_key, id) IN (
            SELECT user_key, id FROM threshold_events INDEXED BY threshold_events_by_arrival
            WHERE environment_id = ?1 ORDER BY id LIMIT ?3)";

    ADD_SUBSCRIPTION = "
        INSERT INTO subscriptions
            (environment_id, user_key, id, package_id, status, started_at, ended_at, quantities,
             timing)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    SET_QUANTITIES = "
        UPDATE subscriptions SET quantities = ?4
        WHERE environment_id = ?1 AND user_key = ?2 AND id = ?3";
    SET_TIMING = "
        UPDATE subscriptions SET timing = ?4
        WHERE environment_id = ?1 AND user_key = ?2 AND id = ?3";
    CANCEL_SUBSCRIPTION = "
        UPDATE subscriptions SET status = 'CANCELLED', ended_at = ?4
        WHERE environment_id = ?1 AND user_key = ?2 AND id = ?3";
    SET_COUNTER = "
        INSERT INTO counters
            (environment_id, user_key, subscription_id, feature_id, terms, period_start, used, marks)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT DO UPDATE SET used = excluded.used, marks = excluded.marks";
    DELETE_COUNTER = "
        DELETE FROM counters
        WHERE environment_id = ?1 AND user_key = ?2 AND subscription_id = ?3
            AND feature_id = ?4 AND terms = ?5 AND period_start = ?6";
    // After the last event.
    LOG_EVENTS = "
        INSERT INTO event_blocks
            (id, environment_id, events, recorded_from, recorded_to, users, data)
        VALUES (
            coalesce((
                SELECT id + events FROM event_blocks
                WHERE id = (SELECT max(id) FROM event_blocks)), 1),
            ?1, ?2, ?3, ?4, ?5, ?6)";
    PUT_EVENT_BLOCK = "
        INSERT INTO event_blocks
            (id, environment_id, events, recorded_from, recorded_to, users, data)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    END_OF_EVENTS = "
        SELECT id + events FROM event_blocks WHERE id = (SELECT max(id) FROM event_blocks)";
    FIRST_EVENT_BLOCK_FROM = "
        SELECT id, recorded_from FROM event_blocks WHERE id >= ?1 ORDER BY id LIMIT 1";
    EVENT_BLOCK_AT = "SELECT max(id) FROM event_blocks WHERE id <= ?1";
    // What is found can also begin in one user's key and end in the next: the events show whose they are.
    EVENT_BLOCKS_OF_USER = "
        SELECT id, events, recorded_from, users, data FROM event_blocks
        WHERE environment_id = ?1 AND id < ?3 AND id >= ?4 AND instr(users, ?2) > 0
        ORDER BY id DESC";
    // From the block that has the event ?4 on.
    EVENT_BLOCK_IDS_OF_USER = "
        SELECT id FROM event_blocks
        WHERE environment_id = ?1 AND id < ?3 AND instr(users, ?2) > 0
            AND id >= coalesce((SELECT max(id) FROM event_blocks WHERE id <= ?4), ?4)";
    EVENT_BLOCK = "
        SELECT id, events, recorded_from, users, data, environment_id FROM event_blocks
        WHERE id = ?1";
    SET_EVENT_BLOCK = "UPDATE event_blocks SET users = ?2, data = ?3 WHERE id = ?1";
    // They stand in the order in which they were recorded, so that the oldest are in the first rows.
    FIRST_EVENT_BLOCKS = "
        SELECT id, events, recorded_from, recorded_to FROM event_blocks ORDER BY id LIMIT ?1";
    FORGET_EVENT_BLOCKS = "DELETE FROM event_blocks WHERE id < ?1 AND recorded_to < ?2";
    FORGET_EVENT_BLOCK = "DELETE FROM event_blocks WHERE id = ?1";

    ID_TAKEN = "
        SELECT number, at, data FROM changes
        WHERE environment_id = ?1 AND user_id = ?2 AND number < ?3
            AND (type = 'user.created' OR (type = 'user.updated' AND data LIKE '%\"previousId\":%'))
        ORDER BY number DESC LIMIT 1";
    FORGET_ID_IN_CHANGES = "
        UPDATE changes SET user_id = ?3
        WHERE environment_id = ?1 AND user_id = ?2 AND number >= ?4 AND number < ?5";
    FORGET_PREVIOUS_ID = "UPDATE changes SET data = ?3 WHERE environment_id = ?1 AND number = ?2";
    FORGET_ID_IN_AUDIT_LOG = "
        UPDATE audit_log SET subject = ?3
        WHERE environment_id = ?1 AND subject = ?2 AND kind = 'user' AND at >= ?4 AND at <= ?5";

    ADVANCE_CHANGES = "
        INSERT INTO change_heads (environment_id, number) VALUES (?1, ?2)
        ON CONFLICT (environment_id) DO UPDATE SET number = number + excluded.number
        RETURNING number";
    ADD_CHANGE = "
        INSERT INTO changes (environment_id, number, id, type, at, user_id, data, actor)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    ADD_AUDIT_ENTRY = "
        INSERT INTO audit_log
            (environment_id, id, at, actor, action, kind, subject, before, after, request_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
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
            SELECT max(CASE WHEN at < ?2 OR number <= surplus THEN number END) FROM (
                SELECT number, at, surplus, max(number > surplus AND at BETWEEN ?2 AND ?3)
                    OVER (ORDER BY number) AS is_kept
                FROM (SELECT number, at, (
                        SELECT number FROM change_heads WHERE environment_id = ?1) - ?4 AS surplus
                    FROM changes WHERE environment_id = ?1 ORDER BY number LIMIT ?5))
            WHERE NOT is_kept)";
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

    USER_IMPORTS = "
        SELECT id, created_at, data FROM user_imports WHERE environment_id = ?1 ORDER BY id";
    PUT_USER_IMPORT = "
        INSERT INTO user_imports (environment_id, id, created_at, data) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (environment_id, id) DO UPDATE SET data = excluded.data";
    USER_IMPORT_LINES = "
        SELECT kind, line, data FROM user_import_lines
        WHERE environment_id = ?1 AND import_id = ?2 AND kind = ?3 AND line > ?4
        ORDER BY line LIMIT ?5";
    ADD_USER_IMPORT_LINE = "
        INSERT INTO user_import_lines (environment_id, import_id, kind, line, data)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    USER_IMPORT_NAME = "
        SELECT line, kind FROM user_import_names
        WHERE environment_id = ?1 AND import_id = ?2 AND name = ?3";
    ADD_USER_IMPORT_NAME = "
        INSERT INTO user_import_names (environment_id, import_id, name, line, kind)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    // Without a word, the planner takes an environment to have few users.
    USERS_WITH_EMAIL = "
        SELECT id FROM users INDEXED BY users_by_email
        WHERE environment_id = ?1 AND email = ?2 LIMIT ?3";
    FORGET_USER_IMPORT_LINES = "
        DELETE FROM user_import_lines
        WHERE environment_id = ?1 AND import_id = ?2 AND (kind, line) IN (
            SELECT kind, line FROM user_import_lines
            WHERE environment_id = ?1 AND import_id = ?2 LIMIT ?3)";
    FORGET_USER_IMPORT_NAMES = "
        DELETE FROM user_import_names
        WHERE environment_id = ?1 AND import_id = ?2 AND name IN (
            SELECT name FROM user_import_names
            WHERE environment_id = ?1 AND import_id = ?2 LIMIT ?3)";
    FORGET_USER_IMPORT = "DELETE FROM user_imports WHERE environment_id = ?1 AND id = ?2";

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
