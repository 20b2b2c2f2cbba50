//! Pricing as code: an environment's features and packages as one configuration, read, checked and
//! published as a whole.

use std::collections::{HashMap, HashSet};

use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::configuration::Configuration;
use kana_core::configuration_plan::{self, Entry, Finding};
use kana_core::id::FeatureId;
use kana_core::{Refusal, Timestamp};
use kana_store::{EnvironmentId, Transaction};

use crate::environment::Environment;
use crate::error::Error;
use crate::retry::retry;
use crate::writer::CatalogRequest;

/// What an environment holds.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The app's name.
    pub app: String,
    /// How often the environment's features and packages have changed.
    pub version: CatalogVersion,
    /// Its features and packages.
    pub configuration: Configuration,
}

/// What publishing a configuration would do.
#[derive(Debug, Clone)]
pub struct Validation {
    /// How often the environment's features and packages have changed.
    pub version: CatalogVersion,
    /// How many features and packages would change.
    pub changes: usize,
    /// The plan in sentences, with what prevents publishing.
    pub findings: Vec<Finding>,
    /// The plan as data.
    pub entries: Vec<Entry>,
}

impl Environment {
    /// The environment's features and packages as a configuration.
    pub async fn configuration(&self) -> Result<Configured, Error> {
        retry(|| async move {
            let app = self.app_name().await?;
            let mut transaction = self.kana.store.read().await?;
            let version = transaction.catalog_version(self.id).await?;
            let catalog = self.kana.catalogs.at(transaction.as_mut(), self.id, version).await?;
            Ok(Configured { app, version, configuration: Configuration::of(&catalog) })
        })
        .await
    }

    /// What publishing `configuration` now would do.
    pub async fn validate(&self, configuration: &Configuration) -> Result<Validation, Error> {
        retry(|| async move {
            let mut transaction = self.kana.store.read().await?;
            let transaction = transaction.as_mut();
            let version = transaction.catalog_version(self.id).await?;
            let catalog = self.kana.catalogs.at(transaction, self.id, version).await?;
            let used = features_with_usage(transaction, self.id, &catalog, configuration).await?;
            let now = self.kana.clock.now();
            let plan = configuration_plan::plan(&catalog, configuration, &used, now);
            let packages = plan.packages_to_count();
            let counts = transaction.active_subscribers(self.id, &packages).await?;
            let counts: HashMap<_, _> = packages.into_iter().zip(counts).collect();
            let (findings, entries) = (plan.findings(&counts), plan.entries(&counts));
            Ok(Validation { version, changes: plan.len(), findings, entries })
        })
        .await
    }

    /// Makes the environment what `configuration` says, all or nothing. With `expected`, only if its
    /// features and packages are still at one of these versions; otherwise it is
    /// [stale](Refusal::StaleCatalog).
    pub async fn publish(
        &self,
        configuration: Configuration,
        expected: Option<Vec<CatalogVersion>>,
    ) -> Result<Configured, Error> {
        // Read before the commit, since nothing may fail after it.
        let app = retry(|| self.app_name()).await?;
        let request = CatalogRequest::Publish(Publish { configuration, expected });
        let done = self.kana.writer.submit_catalog(self.id, request).await?;
        let configuration = Configuration::of(&done.catalog);
        Ok(Configured { app, version: done.version, configuration })
    }

    async fn app_name(&self) -> Result<String, Error> {
        let app = self.kana.store.app().await?.ok_or(Error::Bug("an environment has no app"))?;
        Ok(app.name)
    }
}

/// A configuration that waits to be published.
pub(crate) struct Publish {
    configuration: Configuration,
    expected: Option<Vec<CatalogVersion>>,
}

impl Publish {
    /// What has to change of the catalog at its version.
    pub(crate) async fn changes(
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
async fn features_with_usage(
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
