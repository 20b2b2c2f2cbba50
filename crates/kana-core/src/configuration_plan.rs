//! What publishing a configuration does to an environment (contract: `cli.md`, "What publishing
//! does"). What `validate` tells and what `publish` does is one plan.
//!
//! A plan is a list of the same commands by which the Admin API changes a catalog, each made on
//! what the ones before it left. It is told which features have usage
//! ([`features_to_look_up`]); how many are subscribed matters only for what is told of it
//! ([`Plan::findings`]), and so only to who asks.

mod differences;
mod finding;
mod planner;

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

pub use self::finding::{Finding, Severity};
use self::planner::Planner;
use crate::catalog::{Catalog, CatalogChange, PackageStatus};
use crate::configuration::{Configuration, Place, Problem};
use crate::id::{FeatureId, PackageId};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// What becomes of an environment when a configuration is published.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    problems: Vec<Problem>,
    told: Vec<Told>,
    changes: IndexMap<Thing, CatalogChange>,
}

/// Something that is told of a plan.
#[derive(Debug, Clone)]
struct Told {
    place: Option<Place>,
    sentence: String,
    weight: Weight,
}

/// How much what is told weighs.
#[derive(Debug, Clone)]
enum Weight {
    Always(Severity),
    /// An error if anybody is subscribed to the package, and this otherwise.
    UnlessSubscribed(PackageId, Severity),
}

/// What a catalog change is about: of two about one thing, the last holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Thing {
    Feature(FeatureId),
    Package(PackageId),
}

/// The features that publishing would delete if they have no usage, which somebody has to look up.
#[must_use]
pub fn features_to_look_up(catalog: &Catalog, configuration: &Configuration) -> Vec<FeatureId> {
    let keeps = packages_that_keep_features(catalog, configuration);
    absent_features(catalog, configuration).filter(|id| !keeps.contains_key(id)).cloned().collect()
}

/// Plans to make of `catalog` what `configuration` says. Of
/// [`features_to_look_up`], those in `used` have usage.
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
    // An add-on names its base packages, which must be there.
    for package in bases.into_iter().chain(addons) {
        planner.package(catalog, &are_addons, package);
    }
    planner.absent_packages(catalog, configuration);
    planner.absent_features(catalog, configuration, used);
    planner.finish()
}

impl Plan {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many features and packages would change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// What is to be stored, in this order; refused when anything in the configuration is.
    pub fn into_changes(self) -> Result<Vec<CatalogChange>, Refusal> {
        if self.problems.is_empty() {
            Ok(self.changes.into_values().collect())
        } else {
            Err(Refusal::Configuration(self.problems))
        }
    }

    /// The packages whose active subscribers are to be counted for [`findings`](Self::findings).
    #[must_use]
    pub fn packages_to_count(&self) -> Vec<PackageId> {
        self.told
            .iter()
            .filter_map(|told| match &told.weight {
                Weight::Always(_) => None,
                Weight::UnlessSubscribed(package, _) => Some(package.clone()),
            })
            .collect()
    }

    /// What whoever is about to publish should know: what is refused first, then what changes.
    #[must_use]
    pub fn findings(&self, active_subscribers: &HashMap<PackageId, u64>) -> Vec<Finding> {
        let refused = self.problems.iter().map(|problem| Finding::refused(problem.clone()));
        let told = self.told.iter().map(|told| {
            let (severity, suffix) = match &told.weight {
                Weight::Always(severity) => (*severity, String::new()),
                Weight::UnlessSubscribed(package, otherwise) => {
                    let count = active_subscribers.get(package).copied().unwrap_or(0);
                    let severity = if count > 0 { Severity::Error } else { *otherwise };
                    (severity, touches(count))
                }
            };
            let sentence = format!("{}{suffix}", told.sentence);
            Finding { severity, place: told.place.clone(), sentence, is_refused: false }
        });
        refused.chain(told).collect()
    }
}

fn touches(active_subscribers: u64) -> String {
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

/// By the ids of their features, the packages that will be there though no file has them.
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
