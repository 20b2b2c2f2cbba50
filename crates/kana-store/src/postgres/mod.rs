//! PostgreSQL: one database for any number of nodes.
//!
//! A statement takes many keys or writes many rows, and statements that do not need each other's
//! answers are sent together, so that a batch of commands takes a bounded number of round trips.
//! What keeps many nodes from each other's way stands in the module `locks`.

mod asking;
mod catalog;
mod changes;
mod connections;
mod connector;
mod database_url;
mod errors;
mod fate;
mod feed;
mod inspected;
mod inspection;
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
mod people;
mod protection;
mod readiness;
mod reading;
mod recent_counters;
mod replays_table;
mod rows;
mod server_sessions;
mod session;
mod settings;
mod shared;
mod statements;
mod store;
mod survey;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod transfer;
mod usage_by_day;
mod usage_by_user;
mod usage_events;
mod user_deletion;
mod user_imports;
mod user_search;
mod users;
mod writing;

pub use connections::ConnectionCounts;
pub use database_url::check_url;
pub use protection::Protection;
pub use settings::{Pooler, Settings};
pub use store::PostgresStore;
pub use survey::Survey;
pub use tls::TlsMode;
