use std::collections::HashMap;

use indexmap::IndexMap;

use super::entry::Entry;
use super::finding::{Finding, Severity};
use crate::catalog::CatalogChange;
use crate::configuration::{Place, Problem};
use crate::id::{FeatureId, PackageId};
use crate::refusal::Refusal;

/// The changes that make an environment what a configuration says.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub(super) problems: Vec<Problem>,
    pub(super) findings: Vec<PlannedFinding>,
    pub(super) entries: Vec<Entry>,
    pub(super) changes: IndexMap<Thing, CatalogChange>,
}

/// A finding before its subscribers are counted.
#[derive(Debug, Clone)]
pub(super) struct PlannedFinding {
    pub(super) place: Option<Place>,
    pub(super) sentence: String,
    pub(super) weight: Weight,
}

/// How the severity of a finding is found.
#[derive(Debug, Clone)]
pub(super) enum Weight {
    Always(Severity),
    /// An error if the package has active subscribers, and this otherwise.
    UnlessSubscribed(PackageId, Severity),
}

/// What a catalog change is about. Of two changes of one thing, the last one holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    Feature(FeatureId),
    Package(PackageId),
}

impl Plan {
    /// Returns true if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the number of features and packages that change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns what to store, in this order. Fails if anything in the configuration is refused.
    pub fn into_changes(self) -> Result<Vec<CatalogChange>, Refusal> {
        if self.problems.is_empty() {
            Ok(self.changes.into_values().collect())
        } else {
            Err(Refusal::Configuration(self.problems))
        }
    }

    /// Returns the packages whose active subscribers [`findings`](Self::findings) and
    /// [`entries`](Self::entries) take.
    #[must_use]
    pub fn packages_to_count(&self) -> Vec<PackageId> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.weight {
                Weight::Always(_) => None,
                Weight::UnlessSubscribed(package, _) => Some(package.clone()),
            })
            .collect()
    }

    /// Describes the plan in sentences: what is refused first, then what changes.
    #[must_use]
    pub fn findings(&self, active_subscribers: &HashMap<PackageId, u64>) -> Vec<Finding> {
        let refused = self.problems.iter().map(|problem| Finding::refused(problem.clone()));
        let found = self.findings.iter().map(|finding| {
            let (severity, suffix) = match &finding.weight {
                Weight::Always(severity) => (*severity, String::new()),
                Weight::UnlessSubscribed(package, otherwise) => {
                    let count = active_subscribers.get(package).copied().unwrap_or(0);
                    let severity = if count > 0 { Severity::Error } else { *otherwise };
                    (severity, subscribers_in_words(count))
                }
            };
            let sentence = format!("{}{suffix}", finding.sentence);
            Finding { severity, place: finding.place.clone(), sentence, is_refused: false }
        });
        refused.chain(found).collect()
    }

    /// Describes the plan as data: an entry for each feature and package that has a finding, what is
    /// refused excepted.
    #[must_use]
    pub fn entries(&self, active_subscribers: &HashMap<PackageId, u64>) -> Vec<Entry> {
        let counted = |entry: &Entry| {
            let mut entry = entry.clone();
            if entry.touches_subscribers {
                let count = active_subscribers.get(entry.id.as_str()).copied().unwrap_or(0);
                entry.active_subscribers = Some(count);
                if count > 0 {
                    entry.severity = Severity::Error;
                }
            }
            entry
        };
        self.entries.iter().map(counted).collect()
    }
}

fn subscribers_in_words(active_subscribers: u64) -> String {
    match active_subscribers {
        0 => "; it has no active subscribers".to_owned(),
        1 => "; it has 1 active subscriber".to_owned(),
        count => format!("; it has {count} active subscribers"),
    }
}

impl Thing {
    pub(super) fn of(change: &CatalogChange) -> Self {
        match change {
            CatalogChange::PutFeature(feature) => Self::Feature(feature.id.clone()),
            CatalogChange::PutPackage(package) => Self::Package(package.id.clone()),
            CatalogChange::DeleteFeature(id) => Self::Feature(id.clone()),
            CatalogChange::DeletePackage(id) => Self::Package(id.clone()),
        }
    }
}
