//! What the server did that it must not do.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How much of an answer is shown.
const EXCERPT_CHARS: usize = 300;

/// Faults by kind, from all clients.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<BTreeMap<&'static str, Fault>>);

/// How often something happened, and what it was the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) times: u64,
    pub(super) first: String,
}

impl Faults {
    /// Counts a fault of this kind.
    pub(super) fn add(&self, kind: &'static str, what: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = all.entry(kind).or_insert_with(|| Fault {
            times: 0,
            first: what.chars().take(EXCERPT_CHARS).collect(),
        });
        fault.times += 1;
    }

    /// All of them, by kind.
    pub(super) fn into_kinds(self) -> BTreeMap<&'static str, Fault> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
