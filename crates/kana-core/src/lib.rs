//! The rules of Kana: who may use what, how usage counts, when it resets.
//!
//! Everything here is a pure function of stored facts and a point in time. Nothing reads a clock, a
//! file or a socket. The rules are those of the contract's page `entitlements.md`; each module names
//! its section.
//!
//! Where to start:
//!
//! - [`decide`](decide::decide) decides every change of a user's facts.
//! - [`entitlement`](entitlement::entitlement) and [`show_usage`](usage_history::show_usage) answer
//!   questions.
//! - [`catalog_command::plan`] decides one change of the catalog, and [`configuration_plan::plan`] all
//!   changes that make it what a file says.
//! - [`simulation`] counts recorded usage again, under the packages of a file.
//! - [`change`] has what other programs and the audit log are told.

mod access;
mod allowance;
mod calendar;
mod carried_usage;
pub mod catalog;
pub mod catalog_command;
pub mod change;
mod command;
pub mod configuration;
pub mod configuration_plan;
mod count;
pub mod counted;
pub mod counter;
mod counter_allowance;
mod counter_key;
mod counter_schedule;
pub mod counting;
pub mod credits;
pub mod day;
pub mod decide;
pub mod draws;
pub mod edit;
pub mod entitlement;
pub mod explain;
pub mod facts;
pub mod folding;
pub mod grant;
mod grant_commands;
mod granting;
pub mod hold;
mod hold_commands;
pub mod id;
pub mod idempotency;
mod idempotency_record;
mod invalid;
mod json_numbers;
mod limit_crossing;
mod loaded_holds;
pub mod metadata;
mod meter;
mod named_write;
pub mod near_limit;
mod override_commands;
pub mod overrides;
mod own_part;
mod package_change;
pub mod period;
pub mod quantity;
pub mod recount;
pub mod refusal;
pub mod rollover;
mod schedule;
mod settling;
pub mod simulation;
mod source;
mod stretches;
pub mod subjects;
pub mod subscribing;
pub mod subscription;
mod subscription_checks;
mod subscription_update;
mod tally;
pub mod terms;
pub mod threshold;
pub mod timestamp;
pub mod timing;
pub mod usage;
mod usage_event;
pub mod usage_history;
pub mod user;
mod user_commands;
mod user_deletion;
mod voiding;

pub use refusal::Refusal;
pub use timestamp::Timestamp;
