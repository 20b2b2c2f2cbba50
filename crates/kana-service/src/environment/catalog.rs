//! An environment's features and packages, changed one at a time.

use std::sync::Arc;

use kana_core::catalog::{Catalog, CatalogVersion, Feature};
use kana_core::catalog_command::{CatalogAnswer, CatalogCommand, FeatureEdit, NewPackage};
use kana_core::edit::Edit;
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::Metadata;

use super::Environment;
use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;
use crate::writer::CatalogRequest;

impl EnvironmentView {
    /// Returns the current features and packages.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            self.catalog_in(transaction.as_mut()).await
        })
        .await
    }

    /// Returns the current features and packages with their version.
    pub async fn versioned_catalog(&self) -> Result<(CatalogVersion, Arc<Catalog>), Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            self.versioned_catalog_in(transaction.as_mut()).await
        })
        .await
    }

    /// Returns true if usage of the feature was ever recorded, counted or not, or a user was ever given an
    /// override or a grant of it. Such a feature is kept.
    pub async fn feature_is_kept(&self, id: &FeatureId) -> Result<bool, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let used = transaction.have_usage(self.id(), std::slice::from_ref(id)).await?;
            Ok(used == [true])
        })
        .await
    }
}

impl Environment {
    /// Deletes a feature that no package has, that was never used, and that no user was given.
    pub async fn delete_feature(&self, id: FeatureId) -> Result<(), Error> {
        self.change_feature(CatalogCommand::DeleteFeature(id)).await.map(drop)
    }

    /// Creates a feature.
    pub async fn create_feature(
        &self,
        feature: Feature,
    ) -> Result<(Arc<Catalog>, FeatureId), Error> {
        self.change_feature(CatalogCommand::CreateFeature(feature)).await
    }

    /// Changes a feature's names and metadata.
    pub async fn update_feature(
        &self,
        id: FeatureId,
        edit: FeatureEdit,
    ) -> Result<(Arc<Catalog>, FeatureId), Error> {
        self.change_feature(CatalogCommand::UpdateFeature { id, edit }).await
    }

    /// Creates a package as a draft.
    pub async fn create_package(
        &self,
        package: NewPackage,
    ) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.run_package_command(CatalogCommand::CreatePackage(package)).await
    }

    /// Changes a package's metadata.
    pub async fn update_package(
        &self,
        id: PackageId,
        metadata: Edit<Metadata>,
    ) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.run_package_command(CatalogCommand::UpdatePackage { id, metadata }).await
    }

    /// Publishes a draft.
    pub async fn publish_package(&self, id: PackageId) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.run_package_command(CatalogCommand::PublishPackage(id)).await
    }

    /// Archives a published package.
    pub async fn archive_package(&self, id: PackageId) -> Result<(Arc<Catalog>, PackageId), Error> {
        self.run_package_command(CatalogCommand::ArchivePackage(id)).await
    }

    async fn change_feature(
        &self,
        command: CatalogCommand,
    ) -> Result<(Arc<Catalog>, FeatureId), Error> {
        let request = CatalogRequest::Command(command);
        let done = self.submit_catalog(request).await?;
        match done.about {
            Some(CatalogAnswer::Feature(id)) => Ok((done.catalog, id)),
            _ => Err(Error::Bug("a feature became something else")),
        }
    }

    async fn run_package_command(
        &self,
        command: CatalogCommand,
    ) -> Result<(Arc<Catalog>, PackageId), Error> {
        let request = CatalogRequest::Command(command);
        let done = self.submit_catalog(request).await?;
        match done.about {
            Some(CatalogAnswer::Package(id)) => Ok((done.catalog, id)),
            _ => Err(Error::Bug("a package became something else")),
        }
    }
}
