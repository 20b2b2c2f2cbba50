//! Where Kana keeps its facts.
//!
//! A store loads facts and writes changes; it knows no rule. Every engine implements the traits
//! of [`store`] and passes the same conformance suite (`tests/conformance`), so that nothing
//! above this crate knows which one it talks to.
//!
//! Every row belongs to one environment and every query names it: the methods take an
//! [`EnvironmentId`], which only this crate can make, from a key or from the app itself.

mod actor;
pub mod app;
pub mod check;
mod columns;
mod deadlines;
mod draw_columns;
mod error;
#[cfg(test)]
mod every_call;
pub mod feed;
mod grant_row;
mod hold_row;
pub mod jobs;
pub mod limit_crossings;
mod log_throttle;
mod migration_files;
mod override_row;
pub mod people;
pub mod postgres;
mod quantities_column;
mod rollover_columns;
pub mod sqlite;
pub mod store;
mod threads;
mod threshold_event_row;
mod timing_column;
pub mod transfer;
pub mod usage_by_user;
pub mod usage_events;
pub mod usage_statistics;
pub mod user_deletion;
pub mod user_imports;
mod user_row;
pub mod user_search;

pub use actor::Actor;
pub use app::{App, EnvironmentId, EnvironmentKind};
pub use deadlines::Deadlines;
pub use error::{Cause, StoreError};
pub use log_throttle::LogThrottle;
pub use postgres::PostgresStore;
pub use sqlite::{ServerOptions, SqliteStore};
pub use store::{Facts, Store, Transaction, WriteTransaction};
pub use threads::{Loss, NeededThread, NeededThreads};
pub use usage_events::UsageEvents;
pub use user_search::UserSearch;
