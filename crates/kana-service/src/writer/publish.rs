//! A configuration that is published as a whole.

use std::collections::{HashMap, HashSet};

use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::configuration::Configuration;
use kana_core::configuration_plan;
use kana_core::id::{FeatureId, PackageId};
use kana_core::{Refusal, Timestamp};
use kana_store::{EnvironmentId, Transaction};

use crate::error::Error;

/// A configuration that waits to be published.
pub(crate) struct Publish {
    pub(crate) configuration: Configuration,
    /// The versions of the catalog at which it may be published; `None`: any.
    pub(crate) expected: Option<Vec<CatalogVersion>>,
    /// The active subscribers of the packages that it would change, as far as they were counted.
    pub(crate) active_subscribers: HashMap<PackageId, u64>,
}

impl Publish {
    /// What has to change of the catalog at its version.
    pub(super) async fn changes(
        &self,
        transaction: &mut dyn Transaction,
        environment: EnvironmentId,
        (version, catalog): (CatalogVersion, &Catalog),
        now: Timestamp,
    ) -> Result<Vec<CatalogChange>, Error> {
        if self.expected.as_ref().is_some_and(|expected| !expected.contains(&version)) {
            return Err(Refusal::StaleCatalog.into());
        }
        let configuration = &self.configuration;
        let used = features_with_usage(transaction, environment, catalog, configuration).await?;
        let plan = configuration_plan::plan(catalog, configuration, &used, now);
        Ok(plan.into_changes()?)
    }
}

/// Of the features that would go if they have no usage, those that have some.
pub(crate) async fn features_with_usage(
    transaction: &mut dyn Transaction,
    environment: EnvironmentId,
    catalog: &Catalog,
    configuration: &Configuration,
) -> Result<HashSet<FeatureId>, Error> {
    let features = configuration_plan::features_to_look_up(catalog, configuration);
    if features.is_empty() {
        return Ok(HashSet::new());
    }
    let have_usage = transaction.have_usage(environment, &features).await?;
    Ok(features.into_iter().zip(have_usage).filter(|(_, used)| *used).map(|(id, _)| id).collect())
}
