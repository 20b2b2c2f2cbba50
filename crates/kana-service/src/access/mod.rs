//! Authentication: keys, user tokens, and an environment's settings for browsers.

pub(crate) mod browsers;
pub(crate) mod creating;
pub(crate) mod keys;
pub(crate) mod recent;
mod tokens;
pub(crate) mod uncommitted;
pub(crate) mod uses;

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::id::UserId;
use kana_core::user::User;
use kana_store::app::{
    ClientAccess, EnvironmentKind, Key, KeyHash, KeyKind, KeyState, TokenSecret,
};
use kana_store::{Actor, EnvironmentId, Store};
use kana_telemetry::metrics::cache::{self, CacheName};
use tokio::time::Instant;

use self::recent::Recent;
pub(crate) use self::tokens::IssuedFor;
use self::uses::{KeyUses, LastMinute};
use crate::clock::Clock;
use crate::error::{Error, Unauthenticated};
use crate::retry::retry;
use crate::settings::Settings;

/// Verifies keys and user tokens.
pub(crate) struct Access {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    keys: Recent<KeyHash, Arc<ValidKey>>,
    client_access: Recent<EnvironmentKind, Arc<ClientAccess>>,
    uses: Arc<KeyUses>,
}

/// A valid key, and its holder as an actor.
pub(crate) struct ValidKey {
    pub(crate) key: Key,
    pub(crate) actor: Arc<Actor>,
    last_minute: LastMinute,
}

impl ValidKey {
    fn new(key: Key) -> Self {
        let last_four = key.last_four.as_str().into();
        let name = key.name.as_deref().map(Arc::from);
        let actor = Arc::new(Actor::Key { id: key.id, name, last_four });
        Self { key, actor, last_minute: LastMinute::default() }
    }
}

/// The user of an environment whose browser was authenticated.
pub(crate) struct Browser {
    pub(crate) environment: EnvironmentId,
    pub(crate) kind: EnvironmentKind,
    pub(crate) user: UserId,
    /// The number of the key; `None` for a user token.
    pub(crate) key_id: Option<i64>,
    /// Whom the user token was issued for; `None` for a key.
    pub(crate) issued_for: Option<IssuedFor>,
}

impl Access {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            store,
            clock,
            settings,
            keys: Recent::default(),
            client_access: Recent::default(),
            uses: Arc::default(),
        }
    }

    /// Verifies a private key.
    pub(crate) async fn private_key(&self, presented: &str) -> Result<Arc<ValidKey>, Error> {
        let valid = self.valid_key(presented).await?;
        match valid.key.kind {
            KeyKind::Private => Ok(valid),
            KeyKind::Public => Err(Unauthenticated::PublicKey.into()),
        }
    }

    /// Verifies a public key with a user's id: the Client API's simple mode.
    pub(crate) async fn public_key(
        &self,
        presented: &str,
        user: Option<&str>,
    ) -> Result<Browser, Error> {
        let valid = self.valid_key(presented).await?;
        let key = &valid.key;
        if key.kind == KeyKind::Private {
            return Err(Unauthenticated::PrivateKeyInBrowser.into());
        }
        if !self.client_access(key.environment_kind).await?.simple_mode {
            return Err(Unauthenticated::SimpleModeOff.into());
        }
        let user = user.ok_or(Unauthenticated::UserIdMissing)?;
        Ok(Browser {
            environment: key.environment,
            kind: key.environment_kind,
            user: UserId::new("X-User-ID", user)?,
            key_id: Some(key.id),
            issued_for: None,
        })
    }

    /// Verifies a user token: the Client API's secure mode.
    pub(crate) async fn user_token(&self, token: &str) -> Result<Browser, Error> {
        let kind = tokens::claimed_environment(token)?;
        let access = self.client_access(kind).await?;
        let (user, issued_for) = tokens::verify(token, kind, &access, self.clock.now())?;
        let (environment, issued_for) = (access.environment, Some(issued_for));
        Ok(Browser { environment, kind, user, key_id: None, issued_for })
    }

    /// Returns the uses of keys that are not written yet.
    pub(crate) fn uses(&self) -> &Arc<KeyUses> {
        &self.uses
    }

    /// Returns a key if it is known and neither revoked nor expired, and notes its use.
    async fn valid_key(&self, presented: &str) -> Result<Arc<ValidKey>, Error> {
        let valid = self.known_key(presented).await?;
        let now = self.clock.now();
        if valid.key.state(now) != KeyState::Active {
            return Err(Unauthenticated::ExpiredKey.into());
        }
        self.uses.note(valid.key.id, &valid.last_minute, now);
        Ok(valid)
    }

    /// Returns a key if it is known and not revoked.
    async fn known_key(&self, presented: &str) -> Result<Arc<ValidKey>, Error> {
        let hash = keys::hash_of_presented(presented).ok_or(Unauthenticated::Unknown)?;
        let known = self.keys.get(&hash);
        cache::looked_up(CacheName::Key, known.is_some());
        if let Some(valid) = known {
            return Ok(valid);
        }
        let asked_at = Instant::now();
        let found = retry(|| async move { Ok(self.store.find_key(hash).await?) }).await?;
        let valid = found.filter(|key| key.revoked_at.is_none());
        let Some(key) = valid else {
            self.keys.forget(&hash);
            return Err(Unauthenticated::Unknown.into());
        };
        let valid = Arc::new(ValidKey::new(key));
        self.keys.remember(hash, Arc::clone(&valid), asked_at);
        Ok(valid)
    }

    /// Forgets what is known of a key, so that this node obeys its revocation at once.
    pub(crate) fn forget_key(&self, id: i64) {
        self.keys.forget_where(|valid| valid.key.id == id);
    }

    /// Forgets an environment's settings for browsers, so that this node obeys a change at once.
    pub(crate) fn forget_client_access(&self, kind: EnvironmentKind) {
        self.client_access.forget(&kind);
    }

    /// Returns whether a public key and a user's id are enough for the Client API of an environment.
    pub(crate) async fn simple_mode(&self, kind: EnvironmentKind) -> Result<bool, Error> {
        Ok(self.client_access(kind).await?.simple_mode)
    }

    /// Returns the id of an environment. The app must exist.
    pub(crate) async fn environment_id(
        &self,
        kind: EnvironmentKind,
    ) -> Result<EnvironmentId, Error> {
        Ok(self.client_access(kind).await?.environment)
    }

    /// Returns an environment's settings for browsers.
    async fn client_access(&self, kind: EnvironmentKind) -> Result<Arc<ClientAccess>, Error> {
        if let Some(access) = self.client_access.get(&kind) {
            return Ok(access);
        }
        let asked_at = Instant::now();
        let access = retry(|| async move { Ok(self.store.client_access(kind).await?) }).await?;
        // Without an app there are no tokens, so this one was made up.
        let access = Arc::new(access.ok_or(Unauthenticated::InvalidToken)?);
        self.client_access.remember(kind, Arc::clone(&access), asked_at);
        Ok(access)
    }

    /// Creates a token with which a user's browser can read what the user may do.
    pub(crate) async fn issue_token(
        &self,
        environment: EnvironmentId,
        kind: EnvironmentKind,
        user: &User,
    ) -> Result<String, Error> {
        let access = self.client_access(kind).await?;
        let now = self.clock.now();
        let secret = match tokens::signing_secret(&access) {
            Some(secret) => secret.clone(),
            // The first token of an environment creates its secret.
            None => {
                let new = tokens::new_secret()?;
                let provide = || self.provide_secret(environment, new.clone(), now);
                let secret = retry(provide).await?;
                // The next look-up reads the new secret. A look-up here could fail although the
                // secret is stored.
                self.client_access.forget(&kind);
                secret
            }
        };
        let expires_at = now.saturating_add_ms(self.settings.user_token_ms());
        tokens::issue(&secret, kind, user, now, expires_at)
            .map_err(|_| Error::Bug("a user token cannot be written"))
    }

    async fn provide_secret(
        &self,
        environment: EnvironmentId,
        new: Vec<u8>,
        now: Timestamp,
    ) -> Result<TokenSecret, Error> {
        Ok(self.store.provide_token_secret(environment, new, now).await?)
    }
}
