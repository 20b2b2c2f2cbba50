//! The checks that are statements. Each answers with a subject and with what is wrong with it.

use kana_core::Timestamp;

use super::references::{ALL, environment, user};
use super::snapshot::Dialect;

/// A subscription that was not ended, and grants something now or later.
const GRANTS: &str = "s.ended_at IS NULL AND s.status IN ('ACTIVE', 'TRIALING')";

/// A subscription that grants something now.
fn grants_now(dialect: Dialect, s: &str, now: Timestamp) -> String {
    let (starts_ahead, end) = match dialect {
        Dialect::Sqlite => (
            format!("json_extract({s}.timing, '$[0]')"),
            format!("json_extract({s}.timing, '$[2]')"),
        ),
        Dialect::Postgres => (
            format!("({s}.timing::json ->> 0)::bigint"),
            format!("({s}.timing::json ->> 2)::bigint"),
        ),
    };
    let (grants, now) = (GRANTS.replace("s.", &format!("{s}.")), now.as_ms());
    format!(
        "{grants} AND ({s}.timing IS NULL
             OR (({starts_ahead} = 0 OR {s}.started_at <= {now})
                 AND ({end} IS NULL OR {end} > {now})))"
    )
}

/// Returns the checks of an engine, each with its name.
pub(super) fn all(dialect: Dialect, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if dialect == Dialect::Sqlite {
        all.push(("pages", PAGES.to_owned()));
    }
    all.extend(ALL.iter().map(|reference| ("references", reference.statement(dialect))));
    all.push(("subscriptions", bases(dialect, now)));
    all.push(("subscriptions", add_ons(dialect, now)));
    all.push(("packages", packages()));
    all.push(("ids", changes()));
    match dialect {
        Dialect::Sqlite => {
            all.extend(["keys", "token_secrets", "admins"].map(|table| ("ids", sqlite_ids(table))));
            all.push(("copies", subscribers()));
            all.push(("copies", user_facts()));
            all.push(("copies", users_without_facts()));
        }
        Dialect::Postgres => {
            let tables = ["environments", "keys", "token_secrets", "admins"];
            all.extend(tables.map(|table| ("ids", postgres_ids(table))));
            all.push(("partitions", partitions(now)));
            all.push(("copies", doubled_counters()));
            all.push(("copies", running_subscriptions()));
        }
    }
    all
}

/// Pages and indexes: the first hundred problems.
const PAGES: &str = "SELECT 'kana.db', integrity_check FROM pragma_integrity_check
    WHERE integrity_check <> 'ok'";

/// At most one granting base for each user.
fn bases(dialect: Dialect, now: Timestamp) -> String {
    let (user, environment) = (user(dialect, "s"), environment("s"));
    let grants = grants_now(dialect, "s", now);
    format!(
        "SELECT 'user ' || {user} || ' in ' || {environment},
             'has ' || CAST(s.granting AS text) || ' base packages that grant'
         FROM (
             SELECT s.environment_id, s.user_key, count(*) AS granting
             FROM subscriptions s
             JOIN packages p ON p.environment_id = s.environment_id AND p.id = s.package_id
             WHERE {grants} AND NOT p.is_addon
             GROUP BY s.environment_id, s.user_key HAVING count(*) > 1) s"
    )
}

/// No granting add-on without a granting base.
fn add_ons(dialect: Dialect, now: Timestamp) -> String {
    let (user, environment) = (user(dialect, "s"), environment("s"));
    let [grants, base_grants] = ["s", "b"].map(|alias| grants_now(dialect, alias, now));
    format!(
        "SELECT 'user ' || {user} || ' in ' || {environment},
             'has the add-on ' || s.package_id || ', and no base package that grants'
         FROM subscriptions s
         JOIN packages p ON p.environment_id = s.environment_id AND p.id = s.package_id
         WHERE {grants} AND p.is_addon AND NOT EXISTS (
             SELECT 1 FROM subscriptions b
             JOIN packages q ON q.environment_id = b.environment_id AND q.id = b.package_id
             WHERE b.environment_id = s.environment_id AND b.user_key = s.user_key
                 AND {base_grants} AND NOT q.is_addon)"
    )
}

/// Published packages have features.
fn packages() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'package ' || x.id || ' in ' || {environment}, 'is published, and has no features'
         FROM packages x WHERE x.status = 'PUBLISHED' AND NOT EXISTS (
             SELECT 1 FROM package_features f
             WHERE f.environment_id = x.environment_id AND f.package_id = x.id)"
    )
}

/// The next number of the changes feed is above all that exist.
fn changes() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'changes in ' || {environment},
             'number ' || CAST(x.number AS text) || ' would be given again'
         FROM (SELECT environment_id, max(number) AS number FROM changes GROUP BY environment_id) x
         WHERE x.number > coalesce(
             (SELECT h.number FROM change_heads h WHERE h.environment_id = x.environment_id), 0)"
    )
}

fn sqlite_ids(table: &str) -> String {
    format!(
        "SELECT '{table}', 'id ' || CAST(x.id AS text) || ' would be given again'
         FROM (SELECT max(id) AS id FROM {table}) x
         WHERE x.id > coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)"
    )
}

fn postgres_ids(table: &str) -> String {
    format!(
        "SELECT '{table}', 'id ' || CAST(x.id AS text) || ' would be given again'
         FROM (SELECT max(id) AS id FROM {table}) x
         WHERE x.id >= (
             SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM {table}_id_seq)"
    )
}

/// SQLite: how many users each package grants something to, whatever a clock says.
fn subscribers() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'package ' || x.package_id || ' in ' || {environment},
             'is said to have ' || CAST(sum(x.said) AS text) || ' subscribers, and has '
                 || CAST(sum(x.counted) AS text)
         FROM (
             SELECT environment_id, package_id, subscribers AS said, 0 AS counted
             FROM package_subscribers
             UNION ALL
             SELECT environment_id, package_id, 0, count(DISTINCT user_key) FROM subscriptions s
             WHERE {GRANTS} AND coalesce(timing ->> 2, nullif(timing ->> 0, 0)) IS NULL
             GROUP BY environment_id, package_id) x
         GROUP BY x.environment_id, x.package_id HAVING sum(x.said) <> sum(x.counted)"
    )
}

/// SQLite: a row of a user's facts says what users, subscriptions, overrides, grants and holds say.
fn user_facts() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'user ' || x.user_id || ' in ' || {environment},
             'has other facts than the tables of users, subscriptions, overrides, grants and holds say'
         FROM user_facts x
         LEFT JOIN users u ON u.environment_id = x.environment_id AND u.key = x.user_key
         WHERE u.id IS NOT x.user_id
             OR x.has_overrides <> EXISTS (
                 SELECT 1 FROM overrides o
                 WHERE o.environment_id = x.environment_id AND o.user_key = x.user_key)
             OR x.has_grants <> EXISTS (
                 SELECT 1 FROM grants g
                 WHERE g.environment_id = x.environment_id AND g.user_key = x.user_key)
             OR x.has_holds <> EXISTS (
                 SELECT 1 FROM holds h
                 WHERE h.environment_id = x.environment_id AND h.user_key = x.user_key
                     AND h.ended_at IS NULL)
             OR x.running IS NOT (
                 SELECT running_subscriptions(
                     s.id, s.package_id, s.status, s.started_at, s.quantities, s.timing)
                 FROM (SELECT * FROM subscriptions t
                     WHERE t.environment_id = x.environment_id AND t.user_key = x.user_key
                         AND t.ended_at IS NULL
                     ORDER BY t.id) s)"
    )
}

/// SQLite: users have a row of facts, unless it is still to be added.
fn users_without_facts() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'user ' || x.id || ' in ' || {environment}, 'has no row among the facts of users'
         FROM users x
         WHERE NOT EXISTS (
                 SELECT 1 FROM user_facts f
                 WHERE f.environment_id = x.environment_id AND f.user_id = x.id)
             AND NOT EXISTS (
                 SELECT 1 FROM user_facts_to_gather g
                 WHERE g.environment_id = x.environment_id AND g.after_id < x.id)"
    )
}

/// PostgreSQL: this month and the next have partitions of usage events.
fn partitions(now: Timestamp) -> String {
    let at = now.as_ms();
    format!(
        "SELECT 'events', 'there is no partition ' || wanted.name
         FROM (
             SELECT 'events_' || to_char(
                 date_trunc('month', to_timestamp({at} / 1000) AT TIME ZONE 'UTC')
                     + make_interval(months => ahead), 'YYYY_MM') AS name
             FROM generate_series(0, 1) ahead) wanted
         WHERE NOT EXISTS (
             SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'events'::regclass AND c.relname = wanted.name)"
    )
}

/// PostgreSQL: a counter stands once with its user.
fn doubled_counters() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'user ' || x.id || ' in ' || {environment},
             'has the counter of ' || x.feature || ' twice'
         FROM (
             SELECT u.environment_id, u.id, one ->> 1 AS feature
             FROM users u CROSS JOIN LATERAL json_array_elements(u.recent_counters::json) one
             GROUP BY u.environment_id, u.id, one ->> 0, one ->> 1, one ->> 2, one ->> 3
             HAVING count(*) > 1) x"
    )
}

/// PostgreSQL: the subscriptions that run stand with their user as in their table.
fn running_subscriptions() -> String {
    let environment = environment("x");
    format!(
        "SELECT 'user ' || x.id || ' in ' || {environment},
             'has other subscriptions than the table of subscriptions says'
         FROM (
             SELECT u.environment_id, u.id,
                 coalesce((SELECT string_agg(concat_ws(' ', (one ->> 0)::uuid, one ->> 1, one ->> 2,
                     one ->> 3, one ->> 4, one ->> 5), ',' ORDER BY (one ->> 0)::uuid)
                     FROM json_array_elements(u.running_subscriptions::json) one), '') AS said,
                 coalesce((SELECT string_agg(concat_ws(' ', s.id, s.package_id, s.status,
                     s.started_at, s.quantities, s.timing), ',' ORDER BY s.id)
                     FROM subscriptions s WHERE s.environment_id = u.environment_id
                         AND s.user_key = u.key AND s.ended_at IS NULL), '') AS stored
             FROM users u) x
         WHERE x.said <> x.stored"
    )
}
