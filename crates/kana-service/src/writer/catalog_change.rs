//! A change of the catalog: planned and committed in one transaction.

use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::catalog_command;
use kana_store::EnvironmentId;

use super::batch::Decider;
use super::queue::{CatalogDone, CatalogRequest};
use crate::error::Error;

impl Decider {
    /// Plans what is asked for on the catalog as it is, and commits it.
    pub(super) async fn change_catalog(
        &self,
        environment: EnvironmentId,
        request: &CatalogRequest,
    ) -> Result<CatalogDone, Error> {
        let mut transaction = self.store.write().await?;
        let version = transaction.catalog_version(environment).await?;
        let catalog = self.catalogs.at(transaction.as_mut(), environment, version).await?;
        let now = self.clock.now();
        let (changes, about) = match request {
            CatalogRequest::Command(command) => {
                let (changes, about) = catalog_command::plan(&catalog, command.clone(), now)?;
                (changes, Some(about))
            }
            CatalogRequest::Publish(publish) => {
                let at = (version, &*catalog);
                (publish.changes(transaction.as_mut(), environment, at, now).await?, None)
            }
        };
        if changes.is_empty() {
            return Ok(CatalogDone { version, catalog, about });
        }
        let version = transaction.change_catalog(environment, version, &changes).await?;
        transaction.commit().await?;
        let mut changed = Catalog::clone(&catalog);
        for change in &changes {
            changed.apply(change);
        }
        let catalog = Arc::new(changed);
        self.catalogs.publish(environment, version, &catalog);
        Ok(CatalogDone { version, catalog, about })
    }
}
