//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`, in a data directory.
//!
//! Reads take microseconds and run where they are asked for, on a connection of a small pool.
//! There is one connection that writes, so that nobody polls for SQLite's lock. A commit waits
//! for the disk: whoever writes must not do it on a thread that others need.

mod backup;
mod bytes;
mod catalog;
mod checkpoints;
mod connection;
mod counter_log;
mod counter_series;
mod data_dir;
mod earlier_ids;
mod errors;
mod event_block;
mod event_bytes;
mod event_log;
mod event_migration;
mod event_transfer;
mod event_view;
mod facts;
mod facts_cache;
mod facts_reading;
mod feed;
mod file_names;
mod grants;
mod health;
mod holds;
mod inspected;
mod inspection;
mod jobs;
mod keys;
mod last_backup;
mod lease;
mod limit_crossings;
mod lists;
mod migrations;
mod options;
mod overrides;
mod people;
mod readers;
mod readiness;
mod recent_counters;
mod replays;
mod restore;
mod room;
mod rows;
mod running_subscriptions;
mod statements;
mod store;
#[cfg(test)]
mod tests;
mod threshold_events;
mod transaction;
mod transfer;
mod unfolded_usage;
mod usage_by_day;
mod usage_by_user;
mod usage_events;
mod usage_statistics;
mod user_deletion;
mod user_facts;
mod user_imports;
mod user_search;
mod users;
mod views;
mod write_behind;

pub use backup::BackupContents;
pub use event_migration::copy_events_into_blocks;
pub use facts_cache::FactsCacheLimits;
pub use file_names::{CLAIM_FILE, OUR_FILES};
pub use options::ServerOptions;
pub use store::SqliteStore;
pub use views::register_functions;
