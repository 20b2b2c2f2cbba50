//! The rules of the contract's page `entitlements.md`, told as stories: one module per room of
//! the page, each test a sentence of it.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod batches;
mod carried_usage;
mod catalog_commands;
mod changed_terms;
mod changes;
mod configuration;
mod configuration_plans;
mod counting;
mod credits;
mod explain;
mod grants;
mod holds;
mod idempotency;
mod near_limits;
mod overrides;
mod package_changes;
mod period;
mod quantity;
mod recording;
mod rollover;
mod simulation;
mod stacking;
mod subscribing;
mod thresholds;
mod trials_and_schedules;
mod usage_history;
mod users;
mod voiding;
mod world;
