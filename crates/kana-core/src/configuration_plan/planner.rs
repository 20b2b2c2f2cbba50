//! The steps of a plan. Each is made on the catalog as the steps before it left it.

mod features;
mod packages;

use crate::catalog::Catalog;
use crate::catalog_command::{self, CatalogCommand};
use crate::configuration::{Place, Problem};
use crate::timestamp::Timestamp;

use super::entry::{Difference, Entry};
use super::finding::Severity;
use super::planned::{Plan, PlannedFinding, Thing, Weight};

/// The maximum number of differences that the entries of one plan have. A configuration has at most
/// 8 MiB; its plan must not take many times that.
const DIFFERENCES_MAX: usize = 20_000;

pub(super) struct Planner {
    catalog: Catalog,
    now: Timestamp,
    plan: Plan,
    /// How many more differences fit into the plan.
    room: usize,
}

impl Planner {
    pub(super) fn new(catalog: Catalog, now: Timestamp) -> Self {
        Self { catalog, now, plan: Plan::default(), room: DIFFERENCES_MAX }
    }

    pub(super) fn finish(self) -> Plan {
        self.plan
    }

    /// Returns true if anything cannot be published.
    pub(super) fn is_refused(&self) -> bool {
        !self.plan.problems.is_empty()
    }

    fn refuse(&mut self, place: Place, message: impl Into<String>) {
        self.plan.problems.push(Problem::new(place, message));
    }

    fn find(&mut self, place: Option<&Place>, weight: Weight, sentence: String) {
        self.plan.findings.push(PlannedFinding { place: place.cloned(), sentence, weight });
    }

    /// Adds an entry for a finding, or for several about one thing.
    fn enter(&mut self, mut entry: Entry, mut differences: Vec<Difference>) {
        let highest = differences.iter().map(|it| it.severity).max();
        entry.severity = entry.severity.max(highest.unwrap_or(Severity::Information));
        entry.omitted_differences = differences.len().saturating_sub(self.room);
        differences.truncate(self.room);
        self.room -= differences.len();
        entry.differences = differences;
        self.plan.entries.push(entry);
    }

    /// Carries out one command. Returns true if it changed anything.
    fn make(&mut self, place: &Place, command: CatalogCommand) -> bool {
        match catalog_command::plan(&self.catalog, command, self.now) {
            Ok((changes, _)) => {
                let any = !changes.is_empty();
                for change in changes {
                    self.catalog.apply(&change);
                    self.plan.changes.insert(Thing::of(&change), change);
                }
                any
            }
            Err(refusal) => {
                self.refuse(place.clone(), refusal.to_string());
                false
            }
        }
    }
}
