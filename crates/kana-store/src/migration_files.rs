//! The migrations of both engines, in order: plain SQL files, numbered. A change of the schema adds a
//! file to each.

/// For SQLite.
pub(crate) const SQLITE: &[&str] = &[
    include_str!("sqlite/migrations/0001_foundation.sql"),
    include_str!("sqlite/migrations/0002_client_api_and_lists.sql"),
    include_str!("sqlite/migrations/0003_hot_paths.sql"),
    include_str!("sqlite/migrations/0004_recent_counters.sql"),
    include_str!("sqlite/migrations/0005_pricing_as_code.sql"),
    include_str!("sqlite/migrations/0006_changed_terms.sql"),
    include_str!("sqlite/migrations/0007_changes_and_audit_log.sql"),
    include_str!("sqlite/migrations/0008_jobs.sql"),
    include_str!("sqlite/migrations/0009_people.sql"),
    include_str!("sqlite/migrations/0010_key_use.sql"),
    SQLITE_USER_SEARCH,
    include_str!("sqlite/migrations/0012_usage_by_day.sql"),
    include_str!("sqlite/migrations/0013_user_imports.sql"),
    include_str!("sqlite/migrations/0014_package_subscribers.sql"),
    include_str!("sqlite/migrations/0015_sent_forms.sql"),
    include_str!("sqlite/migrations/0016_key_expiry.sql"),
    SQLITE_EVENT_BLOCKS,
    include_str!("sqlite/migrations/0018_events_view.sql"),
    SQLITE_REPLAYS_IN_RUNS,
    include_str!("sqlite/migrations/0020_reset_anchor.sql"),
    include_str!("sqlite/migrations/0021_overrides.sql"),
    include_str!("sqlite/migrations/0022_quantity_and_stacking.sql"),
    include_str!("sqlite/migrations/0023_thresholds_and_corrections.sql"),
    include_str!("sqlite/migrations/0024_grants.sql"),
    include_str!("sqlite/migrations/0025_credits.sql"),
    include_str!("sqlite/migrations/0026_user_facts.sql"),
    include_str!("sqlite/migrations/0027_holds.sql"),
    include_str!("sqlite/migrations/0028_rollover.sql"),
    include_str!("sqlite/migrations/0029_scheduled_subscriptions.sql"),
    include_str!("sqlite/migrations/0030_subscribers_by_the_clock.sql"),
    include_str!("sqlite/migrations/0031_holds_by_balance.sql"),
];

/// For PostgreSQL.
pub(crate) const POSTGRES: &[&str] = &[
    include_str!("postgres/migrations/0001_foundation.sql"),
    include_str!("postgres/migrations/0002_changes_and_audit_log.sql"),
    include_str!("postgres/migrations/0003_jobs.sql"),
    include_str!("postgres/migrations/0004_people.sql"),
    include_str!("postgres/migrations/0005_key_use.sql"),
    POSTGRES_USER_SEARCH,
    include_str!("postgres/migrations/0007_usage_by_day.sql"),
    include_str!("postgres/migrations/0008_user_imports.sql"),
    include_str!("postgres/migrations/0009_sent_forms.sql"),
    include_str!("postgres/migrations/0010_key_expiry.sql"),
    include_str!("postgres/migrations/0011_reset_anchor.sql"),
    include_str!("postgres/migrations/0012_overrides.sql"),
    include_str!("postgres/migrations/0013_quantity_and_stacking.sql"),
    include_str!("postgres/migrations/0014_thresholds_and_corrections.sql"),
    include_str!("postgres/migrations/0015_grants.sql"),
    include_str!("postgres/migrations/0016_credits.sql"),
    include_str!("postgres/migrations/0017_holds.sql"),
    include_str!("postgres/migrations/0018_rollover.sql"),
    include_str!("postgres/migrations/0019_scheduled_subscriptions.sql"),
    include_str!("postgres/migrations/0020_subscribers_by_the_clock.sql"),
    include_str!("postgres/migrations/0021_holds_by_balance.sql"),
];

/// After this one the program fills the search index of users, since SQL cannot fold case as it does.
pub(crate) const SQLITE_USER_SEARCH: &str = include_str!("sqlite/migrations/0011_user_search.sql");

/// After this one the program moves the rows of usage events into blocks.
pub(crate) const SQLITE_EVENT_BLOCKS: &str =
    include_str!("sqlite/migrations/0017_event_blocks.sql");
/// After this one the program moves idempotency records to runs.
pub(crate) const SQLITE_REPLAYS_IN_RUNS: &str =
    include_str!("sqlite/migrations/0019_replays_in_runs.sql");

/// Like [`SQLITE_USER_SEARCH`].
pub(crate) const POSTGRES_USER_SEARCH: &str =
    include_str!("postgres/migrations/0006_user_search.sql");
