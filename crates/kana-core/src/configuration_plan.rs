//! Plans what publishing a configuration does to an environment (contract: `cli.md`, "What publishing
//! does"). `validate` reports the plan that `publish` carries out.
//!
//! A plan is a list of the commands by which the Admin API changes a catalog, each made on what the
//! ones before it left. Making it takes the features that have usage ([`features_to_look_up`]);
//! reporting it ([`Plan::findings`], [`Plan::entries`]) also takes the number of subscribers, so a
//! publish does not count them.

mod absent;
mod differences;
mod entry;
mod finding;
mod planned;
mod planner;

use std::collections::{HashMap, HashSet};

use self::absent::{absent_features, packages_that_keep_features};
pub use self::entry::{Action, Difference, Entry, EntryKind, Field};
pub use self::finding::{Finding, Severity};
pub use self::planned::Plan;
use self::planner::Planner;
use crate::catalog::Catalog;
use crate::catalog_command::{self, CatalogCommand, PackageEdit};
use crate::configuration::Configuration;
use crate::id::{FeatureId, PackageId};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

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
    planned(catalog, configuration, used, now).finish()
}

/// Plans how one package becomes what `edit` says, as if a file said so and nothing else, and what a file
/// does not have. Fails if the package does not exist, is archived, or what it would give is invalid.
pub fn plan_package(
    catalog: &Catalog,
    id: &PackageId,
    edit: &PackageEdit,
    now: Timestamp,
) -> Result<Plan, Refusal> {
    let known = catalog.package(id).ok_or_else(|| Refusal::PackageNotFound(id.clone()))?;
    edit.check_features(catalog)?;
    let mut configuration = Configuration::of(catalog);
    let Some(package) = configuration.packages.iter_mut().find(|package| package.id == *id) else {
        // It is archived, which the command says.
        let command = CatalogCommand::ChangePackage { id: id.clone(), edit: edit.clone() };
        catalog_command::plan(catalog, command, now)?;
        return Ok(Plan::default());
    };
    package.name = edit.name.clone();
    package.kind = edit.kind.clone();
    package.features = edit.features.clone();
    let place = package.place.clone();
    // No feature is absent, so that none has to be looked up.
    let mut planner = planned(catalog, &configuration, &HashSet::new(), now);
    if !planner.is_refused() {
        planner.details(known, edit, &place);
    }
    Ok(planner.finish())
}

/// Carries out the steps of a plan.
fn planned(
    catalog: &Catalog,
    configuration: &Configuration,
    used: &HashSet<FeatureId>,
    now: Timestamp,
) -> Planner {
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
    planner
}
