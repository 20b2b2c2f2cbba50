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
];

/// For PostgreSQL.
pub(crate) const POSTGRES: &[&str] = &[
    include_str!("postgres/migrations/0001_foundation.sql"),
    include_str!("postgres/migrations/0002_changes_and_audit_log.sql"),
    include_str!("postgres/migrations/0003_jobs.sql"),
];
