//! Pricing as code: reads, validates and publishes an environment's features and packages as one
//! configuration.

use std::collections::HashMap;

use kana_core::catalog::CatalogVersion;
use kana_core::change::packages_to_count;
use kana_core::configuration::Configuration;
use kana_core::configuration_plan::{self, Entry, Finding};
use kana_core::id::PackageId;

use super::Environment;
use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;
use crate::writer::{CatalogRequest, Publish, features_with_usage};

/// The configuration of an environment.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The app's name.
    pub app: String,
    /// The version of the environment's catalog.
    pub version: CatalogVersion,
    /// The features and packages.
    pub configuration: Configuration,
}

/// The plan of a configuration.
#[derive(Debug, Clone)]
pub struct Validation {
    /// The version of the environment's catalog.
    pub version: CatalogVersion,
    /// The number of features and packages that would change.
    pub changes: usize,
    /// The plan in sentences, with what prevents publishing.
    pub findings: Vec<Finding>,
    /// The plan as data.
    pub entries: Vec<Entry>,
}

impl EnvironmentView {
    /// Returns the environment's features and packages as a configuration.
    pub async fn configuration(&self) -> Result<Configured, Error> {
        let app = self.kana().app_name().await?;
        retry(|| async {
            let mut transaction = self.begin().await?;
            let (version, catalog) = self.versioned_catalog_in(transaction.as_mut()).await?;
            Ok(Configured { app: app.clone(), version, configuration: Configuration::of(&catalog) })
        })
        .await
    }

    /// Plans what publishing `configuration` would do now.
    pub async fn validate(&self, configuration: &Configuration) -> Result<Validation, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let transaction = transaction.as_mut();
            let (version, catalog) = self.versioned_catalog_in(transaction).await?;
            let used = features_with_usage(transaction, self.id(), &catalog, configuration).await?;
            let now = self.now();
            let plan = configuration_plan::plan(&catalog, configuration, &used, now);
            let packages = plan.packages_to_count();
            let counts = transaction.active_subscribers(self.id(), &packages, now).await?;
            let counts: HashMap<_, _> = packages.into_iter().zip(counts).collect();
            let (findings, entries) = (plan.findings(&counts), plan.entries(&counts));
            Ok(Validation { version, changes: plan.len(), findings, entries })
        })
        .await
    }

    /// Counts the active subscribers of the packages that `configuration` would change now.
    async fn count_touched(
        &self,
        configuration: &Configuration,
    ) -> Result<HashMap<PackageId, u64>, Error> {
        let mut transaction = self.begin().await?;
        let transaction = transaction.as_mut();
        let (_, catalog) = self.versioned_catalog_in(transaction).await?;
        let id = self.id();
        let used = features_with_usage(transaction, id, &catalog, configuration).await?;
        let now = self.now();
        let plan = configuration_plan::plan(&catalog, configuration, &used, now);
        // What cannot be published changes nothing, and the writer refuses it.
        let changes = plan.into_changes().unwrap_or_default();
        let packages = packages_to_count(&catalog, &changes);
        let counts = transaction.active_subscribers(id, &packages, now).await?;
        Ok(packages.into_iter().zip(counts).collect())
    }
}

impl Environment {
    /// Publishes `configuration`, all or nothing. With `expected`, fails as
    /// [stale](kana_core::Refusal::StaleCatalog) if the catalog is at none of these versions.
    pub async fn publish(
        &self,
        configuration: Configuration,
        expected: Option<Vec<CatalogVersion>>,
    ) -> Result<Configured, Error> {
        // Read before the commit, since nothing may fail after it.
        let app = self.kana().app_name().await?;
        let active_subscribers = retry(|| self.count_touched(&configuration)).await?;
        let publish = Publish { configuration, expected, active_subscribers };
        let request = CatalogRequest::Publish(publish);
        let done = self.submit_catalog(request).await?;
        let configuration = Configuration::of(&done.catalog);
        Ok(Configured { app, version: done.version, configuration })
    }
}
