use std::sync::{Arc, Mutex, PoisonError};

use kana_core::catalog::Catalog;
use kana_store::app::{App, NewKey};
use kana_store::{EnvironmentId, Store, StoreError, Transaction};
use tokio::time::Instant;

use crate::catalogs::Catalogs;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::Error;
use crate::keys::{self, NewSecret, RecentKeys, Unauthenticated};
use crate::writer::{Finished, Writer};
use crate::{EnvironmentKind, KeyKind};

/// A running Kana on one store.
pub struct Kana {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) writer: Writer,
    keys: RecentKeys,
    writer_finished: Mutex<Option<Finished>>,
}

impl Kana {
    /// Starts the writer. Must be called within a Tokio runtime.
    pub fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> std::io::Result<Arc<Self>> {
        let catalogs = Arc::new(Catalogs::default());
        let (writer, finished) =
            Writer::start(Arc::clone(&store), Arc::clone(&catalogs), Arc::clone(&clock))?;
        Ok(Arc::new(Self {
            store,
            clock,
            catalogs,
            writer,
            keys: RecentKeys::default(),
            writer_finished: Mutex::new(Some(finished)),
        }))
    }

    /// The environment of a private key, as it was presented.
    pub async fn authorise_private(
        self: &Arc<Self>,
        presented: &str,
    ) -> Result<Environment, Error> {
        let hash = keys::hash_of_presented(presented).ok_or(Unauthenticated::Unknown)?;
        let key = match self.keys.get(hash) {
            Some(key) => key,
            None => {
                let asked_at = Instant::now();
                let valid = self.store.find_key(hash).await?.filter(|key| key.revoked_at.is_none());
                let Some(key) = valid else {
                    self.keys.forget(hash);
                    return Err(Unauthenticated::Unknown.into());
                };
                self.keys.remember(hash, key.clone(), asked_at);
                key
            }
        };
        if key.kind == KeyKind::Public {
            return Err(Unauthenticated::PublicKey.into());
        }
        Ok(Environment::new(Arc::clone(self), key.environment))
    }

    /// Whether the database answers.
    pub async fn check_ready(&self) -> Result<(), Error> {
        self.store.app().await?;
        Ok(())
    }

    /// Waits until everything that was accepted is written. Call it when nothing else holds this
    /// `Kana`, so that nothing more can be accepted.
    pub async fn finish(self: Arc<Self>) {
        let finished = self.writer_finished.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self);
        if let Some(finished) = finished {
            let _ = finished.await;
        }
    }

    /// The environment's catalog as it is in `transaction`.
    pub(crate) async fn catalog_in(
        &self,
        transaction: &mut dyn Transaction,
        environment: EnvironmentId,
    ) -> Result<Arc<Catalog>, Error> {
        let version = transaction.catalog_version(environment).await?;
        Ok(self.catalogs.at(transaction, environment, version).await?)
    }
}

/// The first keys of an app.
pub struct InitialKeys {
    /// Test environment, Admin API.
    pub test_private: NewSecret,
    /// Test environment, Client API.
    pub test_public: NewSecret,
    /// Live environment, Admin API.
    pub live_private: NewSecret,
    /// Live environment, Client API.
    pub live_public: NewSecret,
}

/// Makes the app with its two environments and their keys; `None` when there is one already, and
/// then nothing changes.
pub async fn init(
    store: &dyn Store,
    clock: &dyn Clock,
    app_name: &str,
) -> Result<Option<InitialKeys>, Error> {
    if store.app().await?.is_some() {
        return Ok(None);
    }
    let secrets = InitialKeys {
        test_private: generate(EnvironmentKind::Test, KeyKind::Private)?,
        test_public: generate(EnvironmentKind::Test, KeyKind::Public)?,
        live_private: generate(EnvironmentKind::Live, KeyKind::Private)?,
        live_public: generate(EnvironmentKind::Live, KeyKind::Public)?,
    };
    let now = clock.now();
    let keys = [
        (EnvironmentKind::Test, KeyKind::Private, &secrets.test_private),
        (EnvironmentKind::Test, KeyKind::Public, &secrets.test_public),
        (EnvironmentKind::Live, KeyKind::Private, &secrets.live_private),
        (EnvironmentKind::Live, KeyKind::Public, &secrets.live_public),
    ]
    .map(|(environment, kind, secret)| new_key(environment, kind, secret, now));
    let app = App { name: app_name.to_owned() };
    // Somebody else may have been faster since we asked.
    Ok(store.create_app(app, keys.into(), now).await?.then_some(secrets))
}

/// Makes another key for an environment.
pub async fn create_key(
    store: &dyn Store,
    clock: &dyn Clock,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<NewSecret, Error> {
    let secret = generate(environment, kind)?;
    store.add_key(new_key(environment, kind, &secret, clock.now())).await?;
    Ok(secret)
}

fn generate(environment: EnvironmentKind, kind: KeyKind) -> Result<NewSecret, Error> {
    NewSecret::generate(environment, kind)
        .map_err(|error| StoreError::Engine(Box::new(error)).into())
}

fn new_key(
    environment: EnvironmentKind,
    kind: KeyKind,
    secret: &NewSecret,
    created_at: kana_core::Timestamp,
) -> NewKey {
    NewKey {
        environment,
        kind,
        hash: secret.hash(),
        last_four: secret.last_four().to_owned(),
        created_at,
    }
}
