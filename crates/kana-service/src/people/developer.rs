//! What owners, and editors in test, may do: keys, the token secret and simple mode of an environment.

use std::sync::Arc;

use kana_core::change::AuditKind;
use kana_core::metadata::Label;
use kana_store::Actor;
use kana_store::app::{EnvironmentKind, Key, KeyKind, KeyState};

use crate::access::browsers::{rotate_token_secret, set_simple_mode};
use crate::access::creating::{KeyRequest, begin_key, revoke_key_of};
use crate::access::keys::NewSecret;
use crate::change_log;
use crate::environment::view::EnvironmentView;
use crate::error::Error;
use crate::kana::Kana;

/// Somebody who may change the keys of an environment.
pub struct Developer {
    kana: Arc<Kana>,
    kind: EnvironmentKind,
    view: EnvironmentView,
    actor: Arc<Actor>,
}

impl Developer {
    pub(super) fn new(
        kana: Arc<Kana>,
        kind: EnvironmentKind,
        view: EnvironmentView,
        actor: Arc<Actor>,
    ) -> Self {
        Self { kana, kind, view, actor }
    }

    /// Returns what can be asked of the environment.
    #[must_use]
    pub fn view(&self) -> &EnvironmentView {
        &self.view
    }

    /// Returns the environment's keys with their states, oldest first.
    pub async fn keys(&self) -> Result<Vec<(Key, KeyState)>, Error> {
        self.view.keys().await
    }

    /// Creates a key, which is shown once, with a name that people know it by.
    pub async fn create_key(
        &self,
        kind: KeyKind,
        name: Option<&Label>,
    ) -> Result<NewSecret, Error> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        let request = KeyRequest { environment: self.kind, kind, name, lifetime: None };
        let key = begin_key(store, clock, &self.actor, request).await?;
        let key = key.commit().await?;
        change_log::log(&self.actor, "createKey", AuditKind::Key, None);
        Ok(key)
    }

    /// Revokes a key of the environment: at once on this node, within five seconds on others. Returns
    /// it; `None` if the environment has no such key.
    pub async fn revoke_key(&self, id: i64) -> Result<Option<Key>, Error> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        let revoked = revoke_key_of(store, clock, &self.actor, &[self.kind], id).await?;
        self.kana.access.forget_key(id);
        if revoked.is_some() {
            let subject = id.to_string();
            change_log::log(&self.actor, "revokeKey", AuditKind::Key, Some(&subject));
        }
        Ok(revoked)
    }

    /// Signs user tokens with another secret from now on. With `end_all`, earlier tokens are no longer
    /// good.
    pub async fn rotate_token_secret(&self, end_all: bool) -> Result<(), Error> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        let settings = self.kana.settings;
        rotate_token_secret(store, clock, &self.actor, settings, self.kind, end_all).await?;
        self.kana.access.forget_client_access(self.kind);
        change_log::log(&self.actor, "rotateTokenSecret", AuditKind::Key, None);
        Ok(())
    }

    /// Returns whether a public key and a user's id are enough for the Client API.
    pub async fn simple_mode(&self) -> Result<bool, Error> {
        self.kana.access.simple_mode(self.kind).await
    }

    /// Sets whether a public key and a user's id are enough for the Client API.
    pub async fn set_simple_mode(&self, on: bool) -> Result<(), Error> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        set_simple_mode(store, clock, &self.actor, self.kind, on).await?;
        self.kana.access.forget_client_access(self.kind);
        let subject = Some("simpleMode");
        change_log::log(&self.actor, "setSimpleMode", AuditKind::Setting, subject);
        Ok(())
    }
}
