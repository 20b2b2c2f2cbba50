//! The read-only part of an environment.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::id::UserId;
use kana_store::{EnvironmentId, Transaction};

use crate::error::Error;
use crate::kana::Kana;
use crate::reader::Rule;

/// Read-only access to one environment.
#[derive(Clone)]
pub(super) struct ReadOnly {
    kana: Arc<Kana>,
    id: EnvironmentId,
}

impl ReadOnly {
    pub(super) fn new(kana: Arc<Kana>, id: EnvironmentId) -> Self {
        Self { kana, id }
    }

    pub(super) fn kana(&self) -> &Kana {
        &self.kana
    }

    pub(super) fn id(&self) -> EnvironmentId {
        self.id
    }

    pub(super) fn now(&self) -> Timestamp {
        self.kana.clock.now()
    }

    /// Begins a read transaction, which reads one snapshot.
    pub(super) async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        self.kana.reader.begin().await
    }

    /// Returns the catalog in the transaction's snapshot.
    pub(super) async fn catalog_in(
        &self,
        transaction: &mut dyn Transaction,
    ) -> Result<Arc<Catalog>, Error> {
        Ok(self.versioned_catalog_in(transaction).await?.1)
    }

    /// Returns the catalog with its version, in the transaction's snapshot.
    pub(super) async fn versioned_catalog_in(
        &self,
        transaction: &mut dyn Transaction,
    ) -> Result<(CatalogVersion, Arc<Catalog>), Error> {
        self.kana.reader.catalog_in(transaction, self.id).await
    }

    /// Answers a question about one user from one snapshot.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        user: &UserId,
        rule: impl Rule<T>,
    ) -> Result<T, Error> {
        self.kana.reader.ask(self.id, user, rule).await
    }
}
