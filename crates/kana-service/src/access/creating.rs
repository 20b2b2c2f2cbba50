//! Creates the app and its keys. A key is shown before it is committed (contract: `admin-api.md`,
//! "Authorisation").

use kana_core::Timestamp;
use kana_store::app::{App, EnvironmentKind, Key, KeyKind, NewKey};
use kana_store::{Actor, Store, StoreError, WriteTransaction};

use super::keys::NewSecret;
use crate::clock::Clock;
use crate::error::Error;
use crate::feed;

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

/// New keys that are not committed yet. Dropping this discards them.
///
/// A key is shown only once, so it is shown before it is committed. If it cannot be shown, it does
/// not exist.
#[must_use]
pub struct Uncommitted<T> {
    /// The keys to show.
    pub secrets: T,
    transaction: Box<dyn WriteTransaction>,
}

impl<T> Uncommitted<T> {
    /// Commits the keys, which makes them valid.
    pub async fn commit(self) -> Result<T, StoreError> {
        self.transaction.commit().await?;
        Ok(self.secrets)
    }
}

/// Creates the app with its two environments and their keys, without committing them. Returns
/// `None` if there is an app already.
pub async fn begin_init(
    store: &dyn Store,
    clock: &dyn Clock,
    app_name: &str,
) -> Result<Option<Uncommitted<InitialKeys>>, Error> {
    if store.app().await?.is_some() {
        return Ok(None);
    }
    let secrets = InitialKeys {
        test_private: NewSecret::generate(EnvironmentKind::Test, KeyKind::Private)?,
        test_public: NewSecret::generate(EnvironmentKind::Test, KeyKind::Public)?,
        live_private: NewSecret::generate(EnvironmentKind::Live, KeyKind::Private)?,
        live_public: NewSecret::generate(EnvironmentKind::Live, KeyKind::Public)?,
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
    // Another process may have created the app since the check above.
    let transaction = store.begin_app(app, keys.into(), now).await?;
    Ok(transaction.map(|transaction| Uncommitted { secrets, transaction }))
}

/// Creates the app with its two environments and their keys. Returns `None`, and changes nothing,
/// if there is an app already.
pub async fn init(
    store: &dyn Store,
    clock: &dyn Clock,
    app_name: &str,
) -> Result<Option<InitialKeys>, Error> {
    match begin_init(store, clock, app_name).await? {
        Some(uncommitted) => Ok(Some(uncommitted.commit().await?)),
        None => Ok(None),
    }
}

/// Creates another key for an environment, without committing it.
pub async fn begin_key(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<Uncommitted<NewSecret>, Error> {
    let secret = NewSecret::generate(environment, kind)?;
    let mut transaction = store.write().await?;
    let key = transaction.add_key(&new_key(environment, kind, &secret, clock.now())).await?;
    transaction.append(key.environment, feed::key_created(actor, &key)).await?;
    Ok(Uncommitted { secrets: secret, transaction })
}

/// Creates another key for an environment.
pub async fn create_key(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<NewSecret, Error> {
    Ok(begin_key(store, clock, actor, environment, kind).await?.commit().await?)
}

/// Revokes a key and returns it; `None` if there is no such key. A key that is revoked already
/// stays so since then. Running servers obey within five seconds.
pub async fn revoke_key(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    id: i64,
) -> Result<Option<Key>, Error> {
    let now = clock.now();
    let mut transaction = store.write().await?;
    let Some((key, is_new)) = transaction.revoke_key(id, now).await? else {
        return Ok(None);
    };
    if is_new {
        transaction.append(key.environment, feed::key_revoked(actor, &key, now)).await?;
        transaction.commit().await?;
    }
    Ok(Some(key))
}

fn new_key(
    environment: EnvironmentKind,
    kind: KeyKind,
    secret: &NewSecret,
    created_at: Timestamp,
) -> NewKey {
    NewKey {
        environment,
        kind,
        hash: secret.hash(),
        last_four: secret.last_four().to_owned(),
        created_at,
    }
}
