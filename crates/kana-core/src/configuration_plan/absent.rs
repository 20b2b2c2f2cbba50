//! Features that the file omits.

use std::collections::{HashMap, HashSet};

use crate::catalog::{Catalog, PackageStatus};
use crate::configuration::Configuration;
use crate::id::{FeatureId, PackageId};

/// Returns the features that exist and are not in the file.
pub(super) fn absent_features<'a>(
    catalog: &'a Catalog,
    configuration: &Configuration,
) -> impl Iterator<Item = &'a FeatureId> {
    let there: HashSet<FeatureId> =
        configuration.features.iter().map(|feature| feature.id.clone()).collect();
    catalog.features().map(|feature| &feature.id).filter(move |id| !there.contains(*id))
}

/// Maps features to packages that have them and stay although the file omits them.
pub(super) fn packages_that_keep_features<'a>(
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
