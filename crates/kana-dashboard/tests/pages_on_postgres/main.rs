//! The walks of `pages` once more, on PostgreSQL.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../pages/audit.rs"]
mod audit;
#[path = "../pages/developers.rs"]
mod developers;
#[path = "../pages/documentation.rs"]
mod documentation;
mod engine;
#[path = "../pages/explain.rs"]
mod explain;
#[path = "../pages/features.rs"]
mod features;
#[path = "../pages/getting_in.rs"]
mod getting_in;
#[path = "../pages/overrides.rs"]
mod overrides;
#[path = "../pages/overview.rs"]
mod overview;
#[path = "../pages/packages.rs"]
mod packages;
#[path = "../pages/person.rs"]
#[allow(dead_code, reason = "some of it is for tests that run on one engine only")]
mod person;
#[path = "../pages/quantities.rs"]
mod quantities;
#[path = "../pages/settings.rs"]
mod settings;
#[path = "../pages/user_events.rs"]
mod user_events;
#[path = "../pages/user_search.rs"]
mod user_search;
#[path = "../pages/users.rs"]
mod users;
#[path = "../pages/users_csv.rs"]
mod users_csv;
#[path = "../pages/world.rs"]
#[allow(dead_code, reason = "some of it is for tests that run on one engine only")]
mod world;
