//! Many nodes on one database: what one of them is told counts for all of them at once.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod catalogs;
mod feed;
mod questions;
mod retention;
mod tokens;
mod usage;
mod user_pages;
mod users;
mod world;
