//! Work that is done later, by one node at a time.
//!
//! A job is a row in the store that says what is to be done, when, and how far it is
//! ([`kana_store::jobs`]); whoever wants one schedules it in its own transaction. A [`JobKind`] says
//! how jobs of a kind are done. Each node has one [`JobRunner`], which claims jobs that are due and
//! runs each in slices of a few seconds. Nothing else in Kana runs in a loop of its own.

mod attempt;
mod audit;
mod backoff;
mod changes;
mod counters;
mod events;
mod forgetting;
mod holds;
mod housekeeping;
mod kind;
mod limit_crossings;
mod partitions;
mod people;
mod registry;
mod replays;
mod runner;
mod threshold_events;
mod usage_by_day;
mod user_deletion;
mod user_facts;
mod user_imports;

pub use backoff::Backoff;
pub use housekeeping::housekeeping;
pub use kana_store::jobs::{Due, JobId, NewJob};
pub use kind::{Failure, JobKind, Policy, Progress, Slice};
pub use registry::JobKinds;
pub use runner::JobRunner;
pub(crate) use user_imports::USER_IMPORT;
