//! The changes of the feed for changes of the catalog.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Change, Effect, PublishedCounts};
use crate::catalog::{Catalog, CatalogChange, Package, PackageStatus};
use crate::id::PackageId;

/// Returns the changes of the feed for `changes` to the catalog `before`, in their order.
/// `active_subscribers` has the counts of [`packages_to_count`]. For a published configuration, one
/// more change at the end counts them.
#[must_use]
pub fn of_catalog(
    before: &Catalog,
    changes: &[CatalogChange],
    active_subscribers: &HashMap<PackageId, u64>,
    is_configuration: bool,
) -> Vec<Change> {
    let mut effects = Vec::new();
    for change in changes {
        match change {
            CatalogChange::PutFeature(feature) => effects.push(match before.feature(&feature.id) {
                None => Effect::FeatureCreated(feature.id.clone()),
                Some(_) => Effect::FeatureUpdated(feature.id.clone()),
            }),
            CatalogChange::DeleteFeature(id) => effects.push(Effect::FeatureDeleted(id.clone())),
            CatalogChange::PutPackage(package) => {
                put_package(before.package(&package.id), package, active_subscribers, &mut effects);
            }
            CatalogChange::DeletePackage(id) => effects.push(Effect::PackageDeleted(id.clone())),
        }
    }
    if is_configuration && !effects.is_empty() {
        effects.push(Effect::ConfigurationPublished(counts(&effects)));
    }
    effects.into_iter().map(|effect| Change { user: None, effect }).collect()
}

/// Returns the packages whose active subscribers [`of_catalog`] takes: those that give their
/// subscribers something else.
#[must_use]
pub fn packages_to_count(before: &Catalog, changes: &[CatalogChange]) -> Vec<PackageId> {
    let touched = |change: &CatalogChange| {
        let CatalogChange::PutPackage(package) = change else { return None };
        let known = before.package(&package.id)?;
        gives_something_else(known, package).then(|| package.id.clone())
    };
    changes.iter().filter_map(touched).collect()
}

/// A draft has no subscribers.
fn gives_something_else(before: &Package, after: &Package) -> bool {
    before.status != PackageStatus::Draft && differences(before, after).contains(&"features")
}

fn put_package(
    before: Option<&Arc<Package>>,
    after: &Package,
    active_subscribers: &HashMap<PackageId, u64>,
    effects: &mut Vec<Effect>,
) {
    let id = || after.id.clone();
    let status_before = before.map_or(PackageStatus::Draft, |before| before.status);
    match before {
        None => effects.push(Effect::PackageCreated(id())),
        Some(before) => {
            let changed = differences(before, after);
            if !changed.is_empty() {
                let counted = gives_something_else(before, after);
                let active_subscribers =
                    counted.then(|| active_subscribers.get(&after.id).copied().unwrap_or(0));
                effects.push(Effect::PackageUpdated { package: id(), changed, active_subscribers });
            }
        }
    }
    match after.status {
        status if status == status_before => {}
        PackageStatus::Published => effects.push(Effect::PackagePublished(id())),
        PackageStatus::Archived => effects.push(Effect::PackageArchived(id())),
        PackageStatus::Draft => {}
    }
}

/// Returns the fields of a package that differ, except its status, by their names in the Admin API.
fn differences(before: &Package, after: &Package) -> Vec<&'static str> {
    // Maps are equal in any order.
    let same_features = before.features.iter().eq(after.features.iter());
    [
        ("name", before.name != after.name),
        ("isAddon", before.is_addon() != after.is_addon()),
        ("basePackages", before.base_packages() != after.base_packages()),
        ("features", !same_features),
        ("metadata", before.metadata != after.metadata),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name)
    .collect()
}

fn counts(effects: &[Effect]) -> PublishedCounts {
    let mut counts = PublishedCounts::default();
    for effect in effects {
        let counter = match effect {
            Effect::FeatureCreated(_) => &mut counts.features[0],
            Effect::FeatureUpdated(_) => &mut counts.features[1],
            Effect::FeatureDeleted(_) => &mut counts.features[2],
            Effect::PackageCreated(_) => &mut counts.packages[0],
            Effect::PackageUpdated { .. } => &mut counts.packages[1],
            Effect::PackagePublished(_) => &mut counts.packages[2],
            Effect::PackageArchived(_) => &mut counts.packages[3],
            Effect::PackageDeleted(_) => &mut counts.packages[4],
            _ => continue,
        };
        *counter += 1;
    }
    counts
}
