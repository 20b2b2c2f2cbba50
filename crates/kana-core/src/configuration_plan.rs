//! Plans what publishing a configuration does to an environment (contract: `cli.md`, "What publishing
//! does"). `validate` reports the plan that `publish` carries out.
//!
//! A plan is a list of the commands by which the Admin API changes a catalog, each made on what the
//! ones before it left. Making it takes the features that have usage ([`features_to_look_up`]);
//! reporting it ([`Plan::findings`], [`Plan::entries`]) also takes the number of subscribers, so a
//! publish does not count them.

mod differences;
mod entry;
mod finding;
mod planner;

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

pub use self::entry::{Action, Difference, Entry, EntryKind, Field};
pub use self::finding::{Finding, Severity};
use self::planner::Planner;
use crate::catalog::{Catalog, CatalogChange, PackageStatus};
use crate::configuration::{Configuration, Place, Problem};
use crate::id::{FeatureId, PackageId};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// The changes that make an environment what a configuration says.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    problems: Vec<Problem>,
    findings: Vec<PlannedFinding>,
    entries: Vec<Entry>,
    changes: IndexMap<Thing, CatalogChange>,
}

/// A finding before its subscribers are counted.
#[derive(Debug, Clone)]
struct PlannedFinding {
    place: Option<Place>,
    sentence: String,
    weight: Weight,
}

/// How the severity of a finding is found.
#[derive(Debug, Clone)]
enum Weight {
    Always(Severity),
    /// An error if the package has active subscribers, and this otherwise.
    UnlessSubscribed(PackageId, Severity),
}

/// What a catalog change is about. Of two changes of one thing, the last one holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Thing {
    Feature(FeatureId),
    Package(PackageId),
}

/// Returns the features that are deleted if they have no usage. The caller looks that up.
#[must_use]
pub fn features_to_look_up(catalog: &Catalog, configuration: &Configuration) -> Vec<FeatureId> {
    let keeps = packages_that_keep_features(catalog, configuration);
    absent_features(catalog, configuration).filter(|id| !keeps.contains_key(id)).cloned().collect()
}

/// Plans how `catalog` becomes what `configuration` says. `used` has those of
/// [`features_to_look_up`] that have usage.
#[must_use]
pub fn plan(
    catalog: &Catalog,
    configuration: &Configuration,
    used: &HashSet<FeatureId>,
    now: Timestamp,
) -> Plan {
    let mut planner = Planner::new(catalog.clone(), now);
    planner.features(configuration);
    let are_addons: HashMap<&PackageId, bool> =
        configuration.packages.iter().map(|package| (&package.id, package.is_addon())).collect();
    let (addons, bases): (Vec<_>, Vec<_>) =
        configuration.packages.iter().partition(|package| package.is_addon());
    // Base packages come first, since an add-on names them.
    for package in bases.into_iter().chain(addons) {
        planner.package(catalog, &are_addons, package);
    }
    planner.absent_packages(catalog, configuration);
    planner.absent_features(catalog, configuration, used);
    planner.finish()
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

fn absent_features<'a>(
    catalog: &'a Catalog,
    configuration: &Configuration,
) -> impl Iterator<Item = &'a FeatureId> {
    let there: HashSet<FeatureId> =
        configuration.features.iter().map(|feature| feature.id.clone()).collect();
    catalog.features().map(|feature| &feature.id).filter(move |id| !there.contains(*id))
}

/// Maps features to packages that have them and stay although the file omits them.
fn packages_that_keep_features<'a>(
    catalog: &'a Catalog,
    configuration: &Configuration,
) -> HashMap<&'a FeatureId, &'a PackageId> {
    let there: HashSet<&PackageId> =
        configuration.packages.iter().map(|package| &package.id).collect();
    catalog
        .packages()
        .filter(|package| package.status != PackageStatus::Draft && !there.contains(&package.id))
        .flat_map(|package| package.features.keys().map(|feature| (feature, &package.id)))
        .collect()
}

impl Thing {
    fn of(change: &CatalogChange) -> Self {
        match change {
            CatalogChange::PutFeature(feature) => Self::Feature(feature.id.clone()),
            CatalogChange::PutPackage(package) => Self::Package(package.id.clone()),
            CatalogChange::DeleteFeature(id) => Self::Feature(id.clone()),
            CatalogChange::DeletePackage(id) => Self::Package(id.clone()),
        }
    }
}
