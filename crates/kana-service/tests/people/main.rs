//! Stories about people: signing in, invitations, sessions, roles, and what the audit log has of them.

// Clippy allows these in tests; stories are test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admins;
mod audit;
mod invitations;
mod roles;
mod sessions;
mod signing_in;
mod world;
