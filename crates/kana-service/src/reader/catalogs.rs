use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_store::{EnvironmentId, StoreError, Transaction};
use kana_telemetry::metrics::cache::{self, CacheName};

/// The newest known catalog of each environment, behind an atomic pointer.
#[derive(Default)]
pub(crate) struct Catalogs(ArcSwap<HashMap<EnvironmentId, (CatalogVersion, Arc<Catalog>)>>);

impl Catalogs {
    /// Returns the environment's catalog at `version`, which was read through `transaction`. Loads it
    /// only if the version in memory is another one.
    pub(crate) async fn at(
        &self,
        transaction: &mut dyn Transaction,
        environment: EnvironmentId,
        version: CatalogVersion,
    ) -> Result<Arc<Catalog>, StoreError> {
        if let Some((known, catalog)) = self.0.load().get(&environment)
            && *known == version
        {
            cache::looked_up(CacheName::Catalog, true);
            return Ok(Arc::clone(catalog));
        }
        cache::looked_up(CacheName::Catalog, false);
        let catalog = Arc::new(transaction.catalog(environment).await?);
        self.publish(environment, version, &catalog);
        Ok(catalog)
    }

    /// Stores a catalog, unless a newer one is known.
    pub(crate) fn publish(
        &self,
        environment: EnvironmentId,
        version: CatalogVersion,
        catalog: &Arc<Catalog>,
    ) {
        self.0.rcu(|known| {
            let mut next = HashMap::clone(known);
            let newest = next.get(&environment).is_none_or(|(known, _)| *known < version);
            if newest {
                next.insert(environment, (version, Arc::clone(catalog)));
            }
            next
        });
    }
}
