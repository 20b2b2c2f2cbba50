//! The stories of `admin` once more, on PostgreSQL: those in which an engine could make a
//! difference. What a request looks like and how much of it is allowed is decided before.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../admin/after_commit.rs"]
mod after_commit;
#[path = "../admin/app.rs"]
#[allow(dead_code, reason = "some of it is for tests that run on one engine only")]
mod app;
#[path = "../admin/authorisation.rs"]
mod authorisation;
#[path = "../admin/batch.rs"]
mod batch;
#[path = "../admin/changed_terms.rs"]
mod changed_terms;
#[path = "../admin/client_api.rs"]
mod client_api;
#[path = "../admin/clocks.rs"]
mod clocks;
#[path = "../admin/credits.rs"]
mod credits;
#[path = "../admin/database_away.rs"]
mod database_away;
mod engine;
#[path = "../admin/errors.rs"]
mod errors;
#[path = "../admin/events.rs"]
mod events;
#[path = "../admin/events_streamed.rs"]
mod events_streamed;
#[path = "../admin/every_operation.rs"]
mod every_operation;
#[path = "../admin/failing_store.rs"]
#[allow(dead_code, reason = "some of it is for tests that run on one engine only")]
mod failing_store;
#[path = "../admin/feed.rs"]
mod feed;
mod folding;
#[path = "../admin/ids.rs"]
mod ids;
#[path = "../admin/links_and_tokens.rs"]
mod links_and_tokens;
#[path = "../admin/lists.rs"]
mod lists;
#[path = "../admin/nulls.rs"]
mod nulls;
#[path = "../admin/numbers.rs"]
mod numbers;
#[path = "../admin/operations.rs"]
mod operations;
#[path = "../admin/pricing_as_code.rs"]
mod pricing_as_code;
#[path = "../admin/quantities.rs"]
mod quantities;
#[path = "../admin/updates.rs"]
mod updates;
