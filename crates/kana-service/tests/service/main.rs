//! What the service promises beyond the rules themselves: what a call costs, what concurrent
//! calls come to, what survives, and whose keys open what.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomicity;
mod constant_work;
mod credits;
mod environments;
mod folding;
mod freshness;
mod group_commit;
mod holds;
mod idempotency;
mod keys;
mod recount;
mod refusals;
mod retention;
mod rollover;
mod shutdown;
mod threads;
mod tokens;
mod user_facts;
mod user_pages;
mod user_search;
mod users;
mod voiding;
mod world;
