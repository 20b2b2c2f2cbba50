use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use kana_core::Timestamp;

use super::connections::{ConnectionCounts, Connections};
use super::leased::Leased;
use super::protection::Protection;
use super::settings::Settings;
use super::shared::Shared;
use super::transaction::{Kind, PostgresTransaction};
use super::{keys, migrations, old_keys, partitions, readiness, transfer, usage_by_user};
use crate::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, NewKey, TokenSecret,
};
use crate::deadlines::within;
use crate::error::StoreError;
use crate::migration_files::POSTGRES;
use crate::store::{Store, Transaction, WriteTransaction};
use crate::transfer::{Export, Import, Scope};
use crate::usage_by_user::{UsageByUser, UsageWindow};

/// The engine for many nodes, on a database that they share.
pub struct PostgresStore {
    pub(super) shared: Arc<Shared>,
    lanes: usize,
}

impl PostgresStore {
    /// The version of the schema that this release works with.
    pub const SCHEMA_VERSION: usize = POSTGRES.len();
    /// The versions of the schema that this release opens: it migrates the older ones.
    pub const SCHEMA_VERSIONS: RangeInclusive<usize> = 1..=Self::SCHEMA_VERSION;

    /// Connects to the database of `url` and migrates it. Any number of processes may use it at the
    /// same time; those that start together take turns to migrate.
    ///
    /// What is wrong has an error of its own: [`DatabaseUrl`](StoreError::DatabaseUrl),
    /// [`AccessDenied`](StoreError::AccessDenied), [`NoDatabase`](StoreError::NoDatabase),
    /// [`ReadOnly`](StoreError::ReadOnly), [`NewerSchema`](StoreError::NewerSchema),
    /// [`TlsFailed`](StoreError::TlsFailed), [`SessionDiffers`](StoreError::SessionDiffers),
    /// [`Damaged`](StoreError::Damaged) and [`NotPermitted`](StoreError::NotPermitted) where a table
    /// or a right on it is missing, and [`Unavailable`](StoreError::Unavailable) where no server
    /// answers.
    pub async fn open(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let opened = Self::open_and_migrate(url, settings).await;
        opened.map_err(|error| settings.pooler.explain(error))
    }

    async fn open_and_migrate(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let connections = Connections::new(url, settings)?;
        let mut connection = Leased::take(&connections.writers).await?;
        migrations::run(connection.get()?, &connections.session, settings.deadlines).await?;
        connection.give_back();
        let store = Self::new(connections, settings);
        readiness::check(&store.shared).await?;
        // One that cannot be created is logged, and does not keep the node from starting.
        partitions::provide_now(&store.shared).await?;
        Ok(store)
    }

    /// Connects to an existing database with this release's schema. Creates and migrates nothing.
    ///
    /// Fails with [`NoDatabaseIn`](StoreError::NoDatabaseIn) if the database has none of our
    /// tables, and with [`OlderSchema`](StoreError::OlderSchema) if an older release migrated it.
    pub async fn open_existing(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let connections = Connections::new(url, settings)?;
        let taken = Leased::take(&connections.readers).await;
        let mut connection = taken.map_err(|error| settings.pooler.explain(error))?;
        within(settings.deadlines.answer, migrations::check(connection.get()?)).await?;
        connection.give_back();
        Ok(Self::new(connections, settings))
    }

    pub(super) fn new(connections: Connections, settings: Settings) -> Self {
        Self { shared: Arc::new(Shared::new(connections)), lanes: settings.lanes }
    }

    /// How often this store has waited for the server's answer, but for preparing statements, once
    /// per connection. Tests hold it against what a call may cost.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips()
    }

    /// Returns a function that counts the connections to the server, for as long as the store is there.
    pub fn connection_counts(&self) -> impl Fn() -> Option<ConnectionCounts> + Send + Sync + use<> {
        let shared = Arc::downgrade(&self.shared);
        move || Some(shared.upgrade()?.connections.counts())
    }

    /// Returns what protects the newest connection to the server, if there was one.
    #[must_use]
    pub fn protection(&self) -> Option<Protection> {
        self.shared.connections.protection()
    }

    /// The schema in numbered steps, from an empty database on. Whoever keeps a copy of a migrated
    /// database sees by them whether it is still good.
    #[must_use]
    pub fn migrations() -> &'static [&'static str] {
        POSTGRES
    }

    pub(super) fn begin_read(&self) -> PostgresTransaction {
        PostgresTransaction::new(&self.shared, Kind::Read)
    }

    pub(super) fn begin_write(&self) -> PostgresTransaction {
        PostgresTransaction::new(&self.shared, Kind::Write)
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn app(&self) -> Result<Option<App>, StoreError> {
        keys::app(&mut self.begin_read()).await
    }

    async fn begin_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<Option<Box<dyn WriteTransaction>>, StoreError> {
        let mut transaction = self.begin_write();
        let is_new = keys::create_app(&mut transaction, &app, &keys, created_at).await?;
        Ok(is_new.then(|| Box::new(transaction) as Box<dyn WriteTransaction>))
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        keys::keys(&mut self.begin_read()).await
    }

    async fn find_key(&self, hash: KeyHash) -> Result<Option<Key>, StoreError> {
        keys::find_key(&mut self.begin_read(), hash).await
    }

    async fn client_access(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Option<ClientAccess>, StoreError> {
        keys::client_access(&mut self.begin_read(), environment).await
    }

    async fn provide_token_secret(
        &self,
        environment: EnvironmentId,
        secret: Vec<u8>,
        created_at: Timestamp,
    ) -> Result<TokenSecret, StoreError> {
        let mut transaction = self.begin_write();
        let signing =
            keys::provide_token_secret(&mut transaction, environment, &secret, created_at).await?;
        transaction.commit_changes().await?;
        Ok(signing)
    }

    async fn note_key_uses(&self, uses: Vec<(i64, Timestamp)>) -> Result<(), StoreError> {
        let mut transaction = self.begin_write();
        keys::note_key_uses(&mut transaction, &uses).await?;
        transaction.commit_changes().await
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn readers(&self) -> Option<usize> {
        Some(self.lanes)
    }

    async fn check_ready(&self) -> Result<(), StoreError> {
        readiness::check(&self.shared).await
    }

    async fn forget_events(&self, before: Timestamp, _at_most: usize) -> Result<bool, StoreError> {
        partitions::forget(&self.shared, before).await
    }

    async fn forget_old_keys(&self, before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        old_keys::forget(&self.shared, before, now).await
    }

    fn needs_upkeep(&self) -> bool {
        true
    }

    async fn make_partitions(&self) -> Result<(), StoreError> {
        partitions::keep_ahead(&self.shared).await
    }

    async fn export(&self, scope: &Scope) -> Result<Export, StoreError> {
        transfer::export(&self.shared, scope).await
    }

    async fn usage_by_user(
        &self,
        environment: EnvironmentId,
        window: UsageWindow,
    ) -> Result<Option<UsageByUser>, StoreError> {
        usage_by_user::usage_by_user(&self.shared, environment, window).await
    }

    async fn import(&self) -> Result<Box<dyn Import>, StoreError> {
        Ok(Box::new(transfer::import(&self.shared).await?))
    }

    async fn read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(self.begin_read()))
    }

    async fn write(&self) -> Result<Box<dyn WriteTransaction>, StoreError> {
        Ok(Box::new(self.begin_write()))
    }
}
