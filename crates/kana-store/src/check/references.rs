//! Rows that name other rows.

use super::snapshot::Dialect;

/// A column, or several, that name a row of another table.
pub(super) struct Reference {
    /// The table, whose rows are called `x`.
    from: &'static str,
    /// What a row is called in a finding, as SQL; `{user}` and `{id COLUMN}` are replaced.
    subject: &'static str,
    /// What it names, in words, with the article.
    named: &'static str,
    /// The table where that is, whose rows are called `t`.
    to: &'static str,
    /// How it is found there.
    on: &'static str,
}

const fn reference(
    from: &'static str,
    subject: &'static str,
    named: &'static str,
    to: &'static str,
    on: &'static str,
) -> Reference {
    Reference { from, subject, named, to, on }
}

const OF_ENVIRONMENT: &str = "t.id = x.environment_id";
const FEATURE: &str = "t.environment_id = x.environment_id AND t.id = x.feature_id";
const PACKAGE: &str = "t.environment_id = x.environment_id AND t.id = x.package_id";
const USER: &str = "t.environment_id = x.environment_id AND t.key = x.user_key";
const SUBSCRIPTION: &str =
    "t.environment_id = x.environment_id AND t.user_key = x.user_key AND t.id = x.subscription_id";
const IMPORT: &str = "t.environment_id = x.environment_id AND t.id = x.import_id";
const EVENT: &str =
    "'event of ' || x.feature_id || ' by {user}, recorded at ' || CAST(x.recorded_at AS text)";
const COUNTER: &str = "'counter of ' || x.feature_id || ' of {user}'";
const REPLAY: &str = "'idempotency key ' || x.idempotency_key";

/// All of them. Users, features and packages name their environment, and the rest names those.
pub(super) const ALL: &[Reference] = &[
    reference(
        "keys",
        "'key ' || CAST(x.id AS text)",
        "an environment",
        "environments",
        OF_ENVIRONMENT,
    ),
    reference(
        "token_secrets",
        "'token secret ' || CAST(x.id AS text)",
        "an environment",
        "environments",
        OF_ENVIRONMENT,
    ),
    reference("features", "'feature ' || x.id", "an environment", "environments", OF_ENVIRONMENT),
    reference(
        "(SELECT * FROM features WHERE draws_on IS NOT NULL)",
        "'feature ' || x.id",
        "a balance",
        "features",
        "t.environment_id = x.environment_id AND t.id = x.draws_on",
    ),
    reference("packages", "'package ' || x.id", "an environment", "environments", OF_ENVIRONMENT),
    reference("users", "'user ' || x.id", "an environment", "environments", OF_ENVIRONMENT),
    reference("package_features", "'package ' || x.package_id", "a feature", "features", FEATURE),
    reference("package_features", "'feature ' || x.feature_id", "a package", "packages", PACKAGE),
    reference(
        "package_feature_terms",
        "'terms of ' || x.feature_id",
        "a package",
        "packages",
        PACKAGE,
    ),
    reference("package_bases", "'base ' || x.base_package_id", "an add-on", "packages", PACKAGE),
    reference(
        "package_bases",
        "'package ' || x.package_id",
        "a base",
        "packages",
        "t.environment_id = x.environment_id AND t.id = x.base_package_id",
    ),
    reference(
        "features_with_usage",
        "'usage of ' || x.feature_id",
        "a feature",
        "features",
        FEATURE,
    ),
    reference("subscriptions", "'subscription {id x.id}'", "a user", "users", USER),
    reference("subscriptions", "'subscription {id x.id}'", "a package", "packages", PACKAGE),
    reference("overrides", "'override of ' || x.feature_id", "a user", "users", USER),
    reference("overrides", "'override of {user}'", "a feature", "features", FEATURE),
    reference("grants", "'grant of ' || x.feature_id", "a user", "users", USER),
    reference("grants", "'grant of {user}'", "a feature", "features", FEATURE),
    reference("holds", "'hold of ' || x.feature_id", "a user", "users", USER),
    reference("holds", "'hold of {user}'", "a feature", "features", FEATURE),
    reference(
        "(SELECT * FROM current_counters WHERE {of_subscription})",
        COUNTER,
        "a subscription",
        "subscriptions",
        SUBSCRIPTION,
    ),
    reference("current_counters", COUNTER, "a feature", "features", FEATURE),
    reference("events", EVENT, "a user", "users", USER),
    reference("events", EVENT, "a feature", "features", FEATURE),
    reference(
        "(SELECT * FROM events WHERE subscription_id IS NOT NULL AND {of_subscription})",
        EVENT,
        "a subscription",
        "subscriptions",
        SUBSCRIPTION,
    ),
    reference("replays", REPLAY, "a user", "users", USER),
    reference("replays", REPLAY, "a feature", "features", FEATURE),
    reference("user_search", "'search entry of {user}'", "a user", "users", USER),
    reference("limit_crossings", "'limit of ' || x.feature_id", "a user", "users", USER),
    reference("limit_crossings", "'limit of {user}'", "a feature", "features", FEATURE),
    reference("threshold_events", "'threshold of ' || x.feature_id", "a user", "users", USER),
    reference("threshold_events", "'threshold of {user}'", "a feature", "features", FEATURE),
    reference("usage_by_day", "'usage of ' || x.feature_id", "a feature", "features", FEATURE),
    reference(
        "user_import_lines",
        "'line ' || CAST(x.line AS text) || ' of {id x.import_id}'",
        "an import",
        "user_imports",
        IMPORT,
    ),
    reference(
        "user_import_names",
        "'line ' || CAST(x.line AS text) || ' of {id x.import_id}'",
        "an import",
        "user_imports",
        IMPORT,
    ),
];

impl Reference {
    /// Returns the statement that finds the rows that name what is not there.
    pub(super) fn statement(&self, dialect: Dialect) -> String {
        let Self { from, subject, named, to, on } = self;
        let subject = expand(dialect, subject);
        // An override has an id of version 8 in the place of a subscription's, also once it is removed; and so
        // have grants.
        let id = dialect.id("subscription_id");
        let from = from.replace("{of_subscription}", &format!("substr({id}, 13, 1) <> '8'"));
        let environment = environment("x");
        format!(
            "SELECT {subject} || ' in ' || {environment}, 'names {named} that is not there'
             FROM {from} x WHERE NOT EXISTS (SELECT 1 FROM {to} t WHERE {on})"
        )
    }
}

/// Returns the name of the environment of a row, as SQL.
pub(super) fn environment(of: &str) -> String {
    format!(
        "coalesce((SELECT e.kind FROM environments e WHERE e.id = {of}.environment_id),
             'environment ' || CAST({of}.environment_id AS text))"
    )
}

/// Returns the id of the user of a row, as SQL; the user's key if there is no such user.
pub(super) fn user(dialect: Dialect, of: &str) -> String {
    let key = dialect.id(&format!("{of}.user_key"));
    format!(
        "coalesce((SELECT u.id FROM users u
             WHERE u.environment_id = {of}.environment_id AND u.key = {of}.user_key), {key})"
    )
}

/// Replaces `{user}` and `{id COLUMN}` within SQL texts.
fn expand(dialect: Dialect, subject: &str) -> String {
    let subject = subject.replace("{user}", &format!("user ' || {} || '", user(dialect, "x")));
    let Some((before, rest)) = subject.split_once("{id ") else { return subject };
    let Some((column, after)) = rest.split_once('}') else { return subject };
    format!("{before}' || {} || '{after}", dialect.id(column))
}
