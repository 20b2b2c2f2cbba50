//! What people are shown of the usage: per day and feature; and who has a package. On both engines.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod by_day;
mod engine;
mod near_limits;
mod subscribers;
mod world;
