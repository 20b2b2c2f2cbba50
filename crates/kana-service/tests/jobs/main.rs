//! Jobs are run when they are due, by one node at a time, whatever becomes of them.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attempts;
mod clocks;
mod leases;
mod nodes;
mod once;
mod places;
mod shutdown;
mod slices;
mod work;
mod world;
