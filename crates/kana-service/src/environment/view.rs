//! What can be asked of an environment.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::id::UserId;
use kana_store::app::{EnvironmentKind, Key, KeyState, TokenSecret};
use kana_store::{EnvironmentId, Transaction};

use crate::blocking::off_thread;
use crate::error::Error;
use crate::kana::Kana;
use crate::reader::Rule;
use crate::retry::retry;

/// One environment, to be asked and not changed. Only authorisation creates one.
#[derive(Clone)]
pub struct EnvironmentView {
    kana: Arc<Kana>,
    id: EnvironmentId,
    kind: EnvironmentKind,
}

/// How an environment lets browsers in, without the secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserSettings {
    /// Whether a public key and a user's id are enough.
    pub simple_mode: bool,
    /// Whether there is a secret that signs tokens. The first token creates one.
    pub has_token_secret: bool,
    /// Days that a token is valid.
    pub user_token_days: u32,
}

impl EnvironmentView {
    pub(crate) fn new(kana: Arc<Kana>, id: EnvironmentId, kind: EnvironmentKind) -> Self {
        Self { kana, id, kind }
    }

    /// Returns the environment's keys with their states, oldest first. Those that were used on this node
    /// have the minute of that use, also before it is written.
    pub async fn keys(&self) -> Result<Vec<(Key, KeyState)>, Error> {
        let now = self.kana.clock.now();
        let keys = retry(|| async { Ok(self.kana.store.keys().await?) }).await?;
        let here = keys.into_iter().filter(|key| key.environment == self.id);
        let uses = self.kana.access.uses();
        let noted = |key: Key| {
            let (state, last_used_at) = (key.state(now), uses.latest(key.id).max(key.last_used_at));
            (Key { last_used_at, ..key }, state)
        };
        Ok(here.map(noted).collect())
    }

    /// Returns how the environment lets browsers in.
    pub async fn browser_settings(&self) -> Result<BrowserSettings, Error> {
        let kind = self.kind;
        let found = retry(|| async move { Ok(self.kana.store.client_access(kind).await?) }).await?;
        let access = found.ok_or(Error::Bug("there is no app"))?;
        let signs = |secret: &TokenSecret| secret.valid_until.is_none();
        Ok(BrowserSettings {
            simple_mode: access.simple_mode,
            has_token_secret: access.token_secrets.iter().any(signs),
            user_token_days: self.kana.settings.user_token_days,
        })
    }

    pub(super) fn kana(&self) -> &Kana {
        &self.kana
    }

    pub(super) fn kind(&self) -> EnvironmentKind {
        self.kind
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

    /// Asks something that takes long, on a thread that answers no other requests.
    pub(super) async fn off_thread<T, F>(
        &self,
        question: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
        T: Send + 'static,
    {
        let view = self.clone();
        off_thread(&self.kana.store, move |_| question(view)).await
    }
}
