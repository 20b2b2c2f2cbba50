//! What Kana answers to many clients at once is what it could have answered to one after another.
//!
//! Random clients send random commands and questions to a real [`Kana`](kana_service::Kana), all
//! at the same time and about the same few users, features, packages and idempotency keys. What
//! was asked, what was answered and what overlapped is a [`history`]. For each one the
//! [`linearization`] looks for an order that respects what was over before what began, in which
//! the [model](kana_test_model::model) gives the very same answers.
//!
//! `PROPTEST_CASES=1000 cargo test -p kana-service --test histories` runs more than the usual few.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod concurrency;
mod creation_order;
mod engine;
mod flaw;
mod history;
mod linearization;
mod plan;
mod rejection;
mod run;
