//! Creates the app and its keys. A key is shown before it is committed (contract: `admin-api.md`,
//! "Authorisation").

use std::time::Duration;

use kana_core::Timestamp;
use kana_core::metadata::Label;
use kana_core::refusal::InvalidValue;
use kana_store::app::{App, EnvironmentKind, Key, KeyKind, NewKey};
use kana_store::people::{Invitee, Role};
use kana_store::{Actor, Store};

use super::keys::NewSecret;
use super::uncommitted::Uncommitted;
use crate::clock::Clock;
use crate::error::Error;
use crate::feed;
use crate::people::inviting::invite;
use crate::people::secret::WelcomeToken;

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
    /// The link by which the first owner of the dashboard comes in.
    pub welcome: WelcomeToken,
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
    let new = NewSecret::generate;
    let test_private = new(EnvironmentKind::Test, KeyKind::Private)?;
    let test_public = new(EnvironmentKind::Test, KeyKind::Public)?;
    let live_private = new(EnvironmentKind::Live, KeyKind::Private)?;
    let live_public = new(EnvironmentKind::Live, KeyKind::Public)?;
    let now = clock.now();
    let keys = [
        (EnvironmentKind::Test, KeyKind::Private, &test_private),
        (EnvironmentKind::Test, KeyKind::Public, &test_public),
        (EnvironmentKind::Live, KeyKind::Private, &live_private),
        (EnvironmentKind::Live, KeyKind::Public, &live_public),
    ]
    .map(|(environment, kind, secret)| {
        new_key(&Actor::CommandLine, environment, kind, secret, now)
    });
    let app = App { name: app_name.to_owned() };
    // Another process may have created the app since the check above.
    let Some(mut transaction) = store.begin_app(app, keys.into(), now).await? else {
        return Ok(None);
    };
    let welcome = invite(transaction.as_mut(), Invitee::Anyone(Role::Owner), now).await?;
    let welcome = welcome.ok_or(Error::Bug("a new app has no room for an invitation"))?;
    let secrets = InitialKeys { test_private, test_public, live_private, live_public, welcome };
    Ok(Some(Uncommitted::new(secrets, transaction)))
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

/// Reads the name that people know a key by: one line of at most 255 characters. An empty one is none.
pub fn key_name(text: &str) -> Result<Option<Label>, InvalidValue> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(InvalidValue::new("name", "must be one line"));
    }
    let name = Label::new("name", text)?;
    Ok((!text.is_empty()).then_some(name))
}

/// A key that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct KeyRequest<'a> {
    /// The environment that it opens.
    pub environment: EnvironmentKind,
    /// Which API it opens.
    pub kind: KeyKind,
    /// What people know it by.
    pub name: Option<&'a Label>,
    /// How long it is good; `None` for ever.
    pub lifetime: Option<Duration>,
}

/// Creates another key for an environment, without committing it.
pub async fn begin_key(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    request: KeyRequest<'_>,
) -> Result<Uncommitted<NewSecret>, Error> {
    let KeyRequest { environment, kind, name, lifetime } = request;
    let (secret, now) = (NewSecret::generate(environment, kind)?, clock.now());
    let lifetime_ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let new = NewKey {
        name: name.map(|name| name.as_str().to_owned()),
        expires_at: lifetime.map(|lifetime| now.saturating_add_ms(lifetime_ms(lifetime))),
        ..new_key(actor, environment, kind, &secret, now)
    };
    let mut transaction = store.write().await?;
    let key = transaction.add_key(&new).await?;
    transaction.append(key.environment, feed::key_created(actor, &key)).await?;
    Ok(Uncommitted::new(secret, transaction))
}

/// Creates another key for an environment, without a name, that is good for ever.
pub async fn create_key(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<NewSecret, Error> {
    let request = KeyRequest { environment, kind, name: None, lifetime: None };
    Ok(begin_key(store, clock, actor, request).await?.commit().await?)
}

/// Revokes a key and returns it; `None` if there is no such key. A key that is revoked already
/// stays so since then. Running servers obey within five seconds.
pub async fn revoke_key(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    id: i64,
) -> Result<Option<Key>, Error> {
    revoke_key_of(store, clock, actor, &EnvironmentKind::ALL, id).await
}

/// Like [`revoke_key`], but `None` for a key of an environment that is not among `environments`.
pub(crate) async fn revoke_key_of(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    environments: &[EnvironmentKind],
    id: i64,
) -> Result<Option<Key>, Error> {
    let now = clock.now();
    let mut transaction = store.write().await?;
    let revoked = transaction.revoke_key(id, now).await?;
    let among = |(key, _): &(Key, bool)| environments.contains(&key.environment_kind);
    // What is not committed has not happened.
    let Some((key, is_new)) = revoked.filter(among) else {
        return Ok(None);
    };
    if is_new {
        transaction.append(key.environment, feed::key_revoked(actor, &key, now)).await?;
        transaction.commit().await?;
    }
    Ok(Some(key))
}

fn new_key(
    actor: &Actor,
    environment: EnvironmentKind,
    kind: KeyKind,
    secret: &NewSecret,
    created_at: Timestamp,
) -> NewKey {
    NewKey {
        environment,
        kind,
        hash: secret.hash(),
        name: None,
        last_four: secret.last_four().to_owned(),
        created_at,
        created_by: Some(actor.to_string()),
        expires_at: None,
    }
}
