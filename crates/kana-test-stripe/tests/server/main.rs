//! The stand-in Stripe server, over HTTP as its clients use it.

// Clippy allows these in tests; what they share is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod checkout;
mod client;
mod faults;
mod idempotency;
mod keys;
mod lists;
mod meters;
mod npm_client;
mod objects;
mod time;
mod webhook;
