//! Drives Kana through faults of its database, from one seed.
//!
//! A [history](history()) is drawn from a seed: requests, many at a time, some to the
//! service and some over HTTP; waits, restarts and kills of the process; and faults that meet the
//! calls of the store: a call fails, is late, or its answer is lost, before or after it had its
//! effect. A [`run`] does what the history says on a real database in memory. The clock is set by
//! hand, waits take no time, and one thread does everything in a fixed order, so that the same
//! history always goes the same way.
//!
//! Each answer, what is stored, and the changes feed are held against the
//! [model](kana_test_model::model). What was acknowledged is there; what failed has left nothing;
//! what nobody knows of has happened once or not at all; and the feed tells exactly what happened.
//!
//! `KANA_SIMULATE_SEED=7 KANA_SIMULATE_STEPS=100000 cargo test -p kana-simulator` goes on from a
//! seed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "whatever fails here fails its test"
)]

mod directory;
mod explanation;
mod faults;
mod faulty_store;
mod faulty_transaction;
mod feed;
mod flaw;
mod generator;
mod http;
mod run;
mod shrink;
mod simulation;
mod step;
mod told;
mod world;

pub use flaw::Flaw;
pub use generator::history;
pub use run::{Summary, Violation, run};
pub use simulation::{Found, Simulated, simulate};
pub use step::{Asked, History, Step};
