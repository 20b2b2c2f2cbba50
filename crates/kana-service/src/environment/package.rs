//! One package, looked at and changed by a person: at the version of the catalog that was looked at.

use std::collections::HashMap;

use kana_core::catalog::CatalogVersion;
use kana_core::catalog_command::{CatalogCommand, PackageEdit};
use kana_core::configuration_plan::{self, Finding};
use kana_core::id::PackageId;
use kana_core::{Refusal, configuration::Configuration};

use super::Environment;
use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;
use crate::writer::CatalogRequest;

/// What a change of one package would do.
#[derive(Debug, Clone)]
pub struct PackageReview {
    /// The version of the catalog that it was planned on.
    pub version: CatalogVersion,
    /// Whether anything would change.
    pub is_change: bool,
    /// The plan in sentences, with what prevents it.
    pub findings: Vec<Finding>,
    /// How many users have the package now.
    pub active_subscribers: u64,
    /// Whether there are subscribers, and they would get less.
    pub takes_from_subscribers: bool,
}

impl EnvironmentView {
    /// Plans what changing one package would do now. The findings are those of a configuration that
    /// changes only this package, and of what a configuration does not have.
    pub async fn review_package(
        &self,
        id: &PackageId,
        edit: &PackageEdit,
    ) -> Result<PackageReview, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let transaction = transaction.as_mut();
            let (version, catalog) = self.versioned_catalog_in(transaction).await?;
            let now = self.now();
            let plan = configuration_plan::plan_package(&catalog, id, edit, now)?;
            let counted =
                transaction.active_subscribers(self.id(), std::slice::from_ref(id), now).await?;
            let active_subscribers = counted.first().copied().unwrap_or(0);
            let counts = HashMap::from([(id.clone(), active_subscribers)]);
            let takes = catalog.package(id).is_some_and(|package| edit.takes_from(package));
            Ok(PackageReview {
                version,
                is_change: !plan.is_empty(),
                findings: plan.findings(&counts),
                active_subscribers,
                takes_from_subscribers: takes && active_subscribers > 0,
            })
        })
        .await
    }

    /// Plans what publishing a draft would do now. Fails if there is no such package.
    pub async fn review_publication(&self, id: &PackageId) -> Result<PackageReview, Error> {
        let (version, catalog) = self.versioned_catalog().await?;
        let package = catalog.package(id).ok_or_else(|| Refusal::PackageNotFound(id.clone()))?;
        let mut configuration = Configuration::of(&catalog);
        if let Some(package) = configuration.packages.iter_mut().find(|it| it.id == package.id) {
            package.is_published = true;
        }
        let validation = self.validate(&configuration).await?;
        if validation.version != version {
            return Err(Refusal::StaleCatalog.into());
        }
        Ok(PackageReview {
            version,
            is_change: validation.changes > 0,
            findings: validation.findings,
            active_subscribers: 0,
            takes_from_subscribers: false,
        })
    }
}

impl Environment {
    /// Makes one package what `edit` says, with what a configuration does not have, all or nothing. Fails
    /// as [stale](Refusal::StaleCatalog) if that is a change and the catalog is at another version.
    pub async fn change_package_at(
        &self,
        id: PackageId,
        edit: PackageEdit,
        version: CatalogVersion,
    ) -> Result<(), Error> {
        self.submit_catalog(CatalogRequest::Package(id, edit, version)).await.map(drop)
    }

    /// Publishes a draft of the catalog at this version.
    pub async fn publish_package_at(
        &self,
        id: PackageId,
        version: CatalogVersion,
    ) -> Result<(), Error> {
        self.change_at(CatalogCommand::PublishPackage(id), version).await
    }

    /// Archives a published package of the catalog at this version.
    pub async fn archive_package_at(
        &self,
        id: PackageId,
        version: CatalogVersion,
    ) -> Result<(), Error> {
        self.change_at(CatalogCommand::ArchivePackage(id), version).await
    }

    /// Deletes a draft that no add-on names, of the catalog at this version.
    pub async fn delete_package_at(
        &self,
        id: PackageId,
        version: CatalogVersion,
    ) -> Result<(), Error> {
        self.change_at(CatalogCommand::DeletePackage(id), version).await
    }

    async fn change_at(
        &self,
        command: CatalogCommand,
        version: CatalogVersion,
    ) -> Result<(), Error> {
        self.submit_catalog(CatalogRequest::CommandAt(command, version)).await.map(drop)
    }
}
