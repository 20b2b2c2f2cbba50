//! Every page as a person walks it, without a browser. `pages_on_postgres` walks on the other engine.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod credits;
mod developers;
mod documentation;
mod engine;
mod explain;
mod features;
mod getting_in;
mod grants;
mod holds;
mod overrides;
mod overview;
mod packages;
mod person;
mod quantities;
mod routes;
mod schedules;
mod settings;
mod statements;
mod user_events;
mod user_search;
mod users;
mod users_csv;
mod world;
