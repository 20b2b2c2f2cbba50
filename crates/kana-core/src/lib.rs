//! The rules of Kana: who may use what, how usage counts, when it resets.
//!
//! Everything here is a pure function of stored facts and a point in time. Nothing reads a clock,
//! a file or a socket, so that every surface gives the same answer because it asks the same code.
//! The rules are those of the contract's page `entitlements.md`; each module names the part that
//! it holds.
//!
//! The two ways in are [`decide`](decide::decide) for whatever changes a user's facts, and
//! [`plan`](catalog_command::plan) for whatever changes the catalog; many such changes at once are
//! [planned](configuration_plan::plan) out of a configuration. Questions are asked with
//! [`entitlement`](entitlement::entitlement) and [`show_usage`](usage_history::show_usage).

pub mod catalog;
pub mod catalog_command;
pub mod change;
pub mod configuration;
pub mod configuration_plan;
pub mod decide;
pub mod edit;
pub mod entitlement;
pub mod facts;
pub mod folding;
pub mod id;
pub mod idempotency;
mod invalid;
pub mod metadata;
mod meter;
pub mod period;
pub mod refusal;
mod schedule;
pub mod subjects;
pub mod subscribing;
pub mod subscription;
pub mod terms;
pub mod timestamp;
pub mod usage;
pub mod usage_history;
pub mod user;

pub use refusal::Refusal;
pub use timestamp::Timestamp;
