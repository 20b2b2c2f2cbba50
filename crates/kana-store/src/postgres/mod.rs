//! PostgreSQL: one database for any number of nodes.
//!
//! A statement takes many keys or writes many rows, and statements that do not need each other's
//! answers are sent together, so that a batch of commands takes a bounded number of round trips.
//! What keeps many nodes from each other's way stands in the module `locks`.

mod catalog;
mod changes;
mod connections;
mod connector;
mod database_url;
mod errors;
mod fate;
mod feed;
mod jobs;
mod keys;
mod last_change;
mod leased;
mod locks;
mod migrations;
mod months;
mod old_keys;
mod parameters;
mod partitions;
mod readiness;
mod reading;
mod recent_counters;
mod replays_table;
mod rows;
mod settings;
mod shared;
mod statements;
mod store;
#[cfg(test)]
mod tests;
mod transaction;
mod transfer;
mod users;
mod writing;

pub use database_url::check_url;
pub use settings::Settings;
pub use store::PostgresStore;
