use std::fs::File;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use foldhash::HashSet;
use kana_core::Timestamp;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio::time::timeout;

use super::checkpoints::Checkpoints;
use super::connection::Connection;
use super::data_dir::{Claim, Found};
use super::facts_cache::FactsCacheLimits;
use super::facts_reading::FactsReading;
use super::file_names::DATABASE_FILE;
use super::health::Health;
use super::options::ServerOptions;
use super::readers::{ReaderPool, Views};
use super::recent_counters::RecentCounters;
use super::replays::{Pace, ReplayOptions, StoredReplays};
use super::transaction::{ServersWriter, SqliteTransaction, WriteLease, Writer};
use super::unfolded_usage::UnfoldedUsage;
use super::write_behind::WriteBehind;
use super::{
    counter_log, data_dir, errors, event_log, feed, keys, migrations, readiness, statements,
    transfer, usage_by_user, user_facts,
};
use crate::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, NewKey, TokenSecret,
};
use crate::deadlines::{Deadlines, within};
use crate::error::StoreError;
use crate::feed::{AuditPage, AuditQuery, ChangesPage, ChangesQuery, Feed};
use crate::store::{Store, Transaction, WriteTransaction};
use crate::threads::NeededThreads;
use crate::transfer::{Export, Import, Scope};
use crate::usage_by_user::{UsageByUser, UsageWindow};

/// How many blocks of expired idempotency records are deleted in one transaction.
const DELETED_BLOCKS_MAX: u32 = 128;

/// The embedded engine on one data directory.
pub struct SqliteStore {
    pub(super) pool: Arc<ReaderPool>,
    pub(super) writer: Arc<Mutex<Writer>>,
    /// Held while a readiness check runs.
    checking: Arc<Mutex<()>>,
    pub(super) jobs_scheduled: Arc<Notify>,
    threads: NeededThreads,
    deadlines: Deadlines,
    /// Keeps a second server off the data directory.
    _claim: Option<Claim>,
}

impl SqliteStore {
    /// The version of the schema that this release works with.
    pub const SCHEMA_VERSION: usize = crate::migration_files::SQLITE.len();
    /// The versions of the schema that this release opens: it migrates the older ones.
    pub const SCHEMA_VERSIONS: RangeInclusive<usize> = 1..=Self::SCHEMA_VERSION;

    /// Returns the version of SQLite.
    pub fn engine_version() -> &'static str {
        rusqlite::version()
    }

    /// Opens the database in `data_dir`. Creates directory and database if they do not exist, and
    /// migrates the database. Fails with [`DataDirInUse`](StoreError::DataDirInUse) if it has to
    /// migrate the database of a running server.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let open = || {
            data_dir::create(data_dir)?;
            Self::open_and_migrate(data_dir, None, ServerOptions::default())
        };
        open().map_err(|error| errors::located(error, data_dir))
    }

    /// Opens the database for a server, which alone changes users and the catalog: a second one is
    /// refused with [`DataDirInUse`](StoreError::DataDirInUse) for as long as this store lives.
    /// The operating system gives the claim back when the process ends, however it ends.
    pub fn open_for_server(data_dir: &Path) -> Result<Self, StoreError> {
        Self::open_for_server_within(data_dir, Deadlines::DEFAULT)
    }

    /// Like [`open_for_server`](Self::open_for_server), with other deadlines.
    pub fn open_for_server_within(data_dir: &Path, limits: Deadlines) -> Result<Self, StoreError> {
        let options = ServerOptions { deadlines: limits, ..ServerOptions::default() };
        Self::open_for_server_with(data_dir, options)
    }

    /// Like [`open_for_server`](Self::open_for_server), with other options.
    pub fn open_for_server_with(
        data_dir: &Path,
        options: ServerOptions,
    ) -> Result<Self, StoreError> {
        let open = || {
            data_dir::create(data_dir)?;
            Self::open_and_migrate(data_dir, Some(data_dir::claim(data_dir)?), options)
        };
        open().map_err(|error| errors::located(error, data_dir))
    }

    /// Opens an existing database with this release's schema. Creates and migrates nothing.
    ///
    /// Fails with [`NoDatabaseIn`](StoreError::NoDatabaseIn) if there is no database, and with
    /// [`OlderSchema`](StoreError::OlderSchema) if an older release migrated it.
    pub fn open_existing(data_dir: &Path) -> Result<Self, StoreError> {
        let open = || {
            let _turn = find(data_dir)?;
            let statements = Arc::new(AtomicU64::new(0));
            let file = data_dir.join(DATABASE_FILE);
            let mut connection = Connection::open_existing(&file, &statements)?;
            migrations::check(&mut connection, data_dir)?;
            Ok(Self::of_tool(connection, statements, data_dir))
        };
        open().map_err(|error| errors::located(error, data_dir))
    }

    /// Opens an existing database and migrates it. Fails with
    /// [`NoDatabaseIn`](StoreError::NoDatabaseIn) if there is none.
    pub fn migrate(data_dir: &Path) -> Result<Self, StoreError> {
        find(data_dir)?;
        Self::open(data_dir)
    }

    fn open_and_migrate(
        data_dir: &Path,
        claim: Option<Claim>,
        options: ServerOptions,
    ) -> Result<Self, StoreError> {
        let turn = data_dir::wait_for_turn(data_dir, options.deadlines)?;
        data_dir::close_to_others(data_dir);
        let found = data_dir::find_database(data_dir, Some(&turn))?;
        if found == Found::Nothing {
            data_dir::create_database_file(data_dir)?;
        }
        let statements = Arc::new(AtomicU64::new(0));
        let mut connection = Connection::open_writer(&data_dir.join(DATABASE_FILE), &statements)?;
        let version = migrations::version(&mut connection)?;
        let made = found == Found::Database { made: true };
        if made && version == 0 {
            return Err(data_dir::without_tables(data_dir));
        }
        // A server of an older release may be running here, and needs the older schema.
        let migrates = version > 0 && migrations::are_missing(version);
        let alone =
            if claim.is_none() && migrates { Some(data_dir::claim(data_dir)?) } else { None };
        migrations::run(&mut connection)?;
        drop(alone);
        if !made {
            data_dir::note_made(&turn);
        }
        match claim {
            Some(claim) => Self::of_server(connection, statements, (data_dir, claim), options),
            None => Ok(Self::of_tool(connection, statements, data_dir)),
        }
    }

    fn of_tool(connection: Connection, statements: Arc<AtomicU64>, data_dir: &Path) -> Self {
        let health = Arc::new(Health::of_tool(data_dir, Deadlines::DEFAULT));
        let pool = ReaderPool::new(statements, health, Views::Fresh);
        Self::new(pool, connection, None, (None, ReplayOptions::without_filters()))
    }

    fn of_server(
        connection: Connection,
        statements: Arc<AtomicU64>,
        (data_dir, claim): (&Path, Claim),
        options: ServerOptions,
    ) -> Result<Self, StoreError> {
        let ServerOptions { deadlines: limits, key_filter_bytes_max } = options;
        // SQLite would otherwise copy its WAL during a commit, which would wait for that.
        connection.never_checkpoint_by_itself()?;
        connection.run("BEGIN IMMEDIATE")?;
        counter_log::write_through(&connection)?;
        // The server that had them is gone, since this one has claimed the directory.
        connection.run(statements::END_LEASES)?;
        connection.run("COMMIT")?;
        let replay_options =
            ReplayOptions { pace: Pace::default(), filter_bytes_max: key_filter_bytes_max };
        let replays = StoredReplays::load(&connection, replay_options)?;
        let threads = NeededThreads::default();
        let health = Arc::new(Health::of_server(data_dir, limits, threads.clone()));
        let file = data_dir.join(DATABASE_FILE);
        let recent = Arc::new(RecentCounters::default());
        let checkpoints = Checkpoints::start(&file, &statements, &health, &threads)?;
        let behind = WriteBehind::new(Arc::clone(&recent));
        // Only this server commits changes of users and catalogs, so their views can be kept.
        let pool = ReaderPool::new(statements, health, Views::Kept(recent));
        let server = ServersWriter { checkpoints, behind, usage: UnfoldedUsage::default() };
        let replays = (Some(replays), replay_options);
        Ok(Self {
            threads,
            deadlines: limits,
            ..Self::new(pool, connection, Some((server, claim)), replays)
        })
    }

    fn new(
        pool: ReaderPool,
        connection: Connection,
        server: Option<(ServersWriter, Claim)>,
        (replays, replay_options): (Option<StoredReplays>, ReplayOptions),
    ) -> Self {
        let jobs_scheduled = Arc::default();
        let (server, claim) = server.unzip();
        let writer = Writer {
            connection,
            server,
            replays,
            replay_options,
            used_features: HashSet::default(),
            jobs_scheduled: Arc::clone(&jobs_scheduled),
        };
        Self {
            pool: Arc::new(pool),
            writer: Arc::new(Mutex::new(writer)),
            checking: Arc::default(),
            jobs_scheduled,
            threads: NeededThreads::default(),
            deadlines: Deadlines::DEFAULT,
            _claim: claim,
        }
    }

    /// Sets how much of users' facts a server keeps in memory, [128 MiB](FactsCacheLimits::DEFAULT)
    /// otherwise. Call it before the store is used.
    #[must_use]
    pub fn with_facts_cache(self, limits: FactsCacheLimits) -> Self {
        self.pool.limit_facts_cache(limits);
        self
    }

    /// How many SQL statements this store has run, those that begin and end transactions
    /// included. Tests hold it against what a call may cost.
    #[must_use]
    pub fn statements_run(&self) -> u64 {
        self.pool.statements_run()
    }

    /// Reads the latest committed state, including commits of other processes.
    pub(super) fn ask<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.take()?;
        self.pool.health().noted_read(read(&connection))
    }

    /// Reads several times from one snapshot, which shows everything that was committed before.
    pub(super) fn ask_snapshot<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.pool.take_view()?;
        self.pool.health().noted_read(read(&connection))
    }

    /// Runs one change and commits it.
    pub(super) async fn change<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.begin_write().await?;
        let changed = transaction.step(change)?;
        transaction.commit_changes()?;
        Ok(changed)
    }

    /// Deletes rows and commits, unless there are none. Returns how many.
    pub(super) async fn forget(
        &self,
        delete: impl FnOnce(&Connection) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let mut transaction = self.begin_write().await?;
        let deleted = transaction.forget(delete)?;
        if deleted > 0 {
            transaction.commit_changes()?;
        }
        Ok(deleted)
    }

    /// Changes what is stored of idempotency records and commits, unless nothing has changed. Returns how
    /// many rows it changed.
    async fn change_replays(
        &self,
        change: impl FnOnce(&mut StoredReplays, &Connection) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let mut transaction = self.begin_write().await?;
        let changed = transaction.change_replays(change)?;
        if changed > 0 {
            transaction.commit_changes()?;
        }
        Ok(changed)
    }

    pub(super) async fn begin_write(&self) -> Result<SqliteTransaction<WriteLease>, StoreError> {
        let writer = match Arc::clone(&self.writer).try_lock_owned() {
            Ok(writer) => writer,
            Err(_) => self.wait_for_writer().await?,
        };
        SqliteTransaction::begin_write(WriteLease::new(writer, &self.pool))
    }

    async fn wait_for_writer(&self) -> Result<OwnedMutexGuard<Writer>, StoreError> {
        let limit = self.deadlines.writer;
        timeout(limit, Arc::clone(&self.writer).lock_owned()).await.map_err(|_| {
            let why = format!("the write before this one has not ended within {limit:?}");
            StoreError::Unavailable(why.into())
        })
    }
}

/// Waits for the turn to open an existing database.
pub(super) fn find(data_dir: &Path) -> Result<Option<File>, StoreError> {
    let turn = data_dir::wait_for_turn_if_any(data_dir, Deadlines::DEFAULT)?;
    match data_dir::find_database(data_dir, turn.as_ref())? {
        Found::Database { .. } => Ok(turn),
        Found::Nothing => Err(data_dir::no_database(data_dir)),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn app(&self) -> Result<Option<App>, StoreError> {
        self.ask(keys::app)
    }

    async fn begin_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<Option<Box<dyn WriteTransaction>>, StoreError> {
        let transaction = self.begin_write().await?;
        // Before the keys are shown to anybody.
        transaction.check_room()?;
        let is_new =
            transaction.step(|connection| keys::create_app(connection, &app, &keys, created_at))?;
        Ok(is_new.then(|| Box::new(transaction) as Box<dyn WriteTransaction>))
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.ask(keys::keys)
    }

    async fn find_key(&self, hash: KeyHash) -> Result<Option<Key>, StoreError> {
        self.ask(|connection| keys::find_key(connection, hash))
    }

    async fn client_access(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Option<ClientAccess>, StoreError> {
        self.ask(|connection| keys::client_access(connection, environment))
    }

    async fn provide_token_secret(
        &self,
        environment: EnvironmentId,
        secret: Vec<u8>,
        created_at: Timestamp,
    ) -> Result<TokenSecret, StoreError> {
        self.change(|connection| {
            keys::provide_token_secret(connection, environment, &secret, created_at)
        })
        .await
    }

    async fn note_key_uses(&self, uses: Vec<(i64, Timestamp)>) -> Result<(), StoreError> {
        self.change(|connection| keys::note_key_uses(connection, &uses)).await
    }

    async fn check_ready(&self) -> Result<(), StoreError> {
        let checking = readiness::check(&self.pool, &self.writer, &self.checking);
        within(self.deadlines.ready, checking).await
    }

    fn needed_threads(&self) -> NeededThreads {
        self.threads.clone()
    }

    async fn forget_events(&self, before: Timestamp, at_most: usize) -> Result<bool, StoreError> {
        let forget = |connection: &_| event_log::forget_before(connection, before, at_most);
        Ok(self.forget(forget).await? > 0)
    }

    async fn forget_old_keys(&self, before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.change_replays(|stored, connection| stored.forget_old(connection, before, now))
            .await?;
        // Some at a time, so that no command waits long.
        let delete = |stored: &mut StoredReplays, connection: &_| {
            stored.delete_some(connection, DELETED_BLOCKS_MAX)
        };
        while self.change_replays(delete).await? > 0 {}
        Ok(())
    }

    async fn gather_user_facts(&self, at_most: usize) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let changed = transaction.work_off(|connection| user_facts::gather(connection, at_most))?;
        if changed > 0 {
            transaction.commit_changes()?;
        }
        Ok(changed > 0)
    }

    async fn export(&self, scope: &Scope) -> Result<Export, StoreError> {
        transfer::export(&self.pool, scope, self.deadlines)
    }

    async fn usage_by_user(
        &self,
        environment: EnvironmentId,
        window: UsageWindow,
    ) -> Result<Option<UsageByUser>, StoreError> {
        usage_by_user::usage_by_user(&self.pool, environment, window).map(Some)
    }

    async fn import(&self) -> Result<Box<dyn Import>, StoreError> {
        Ok(Box::new(transfer::import(&self.pool, self.deadlines)?))
    }

    async fn read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(SqliteTransaction::begin_read(self.pool.take_view()?)))
    }

    async fn read_facts(&self) -> Result<Box<dyn Transaction>, StoreError> {
        if self.pool.facts_cache().is_none() {
            return self.read().await;
        }
        Ok(Box::new(FactsReading::new(Arc::clone(&self.pool))))
    }

    async fn write(&self) -> Result<Box<dyn WriteTransaction>, StoreError> {
        Ok(Box::new(self.begin_write().await?))
    }
}

#[async_trait]
impl Feed for SqliteStore {
    async fn changes(
        &self,
        environment: EnvironmentId,
        query: &ChangesQuery,
    ) -> Result<ChangesPage, StoreError> {
        self.ask(|connection| feed::changes(connection, environment, query))
    }

    async fn audit_log(
        &self,
        environment: EnvironmentId,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError> {
        self.ask(|connection| feed::audit_log(connection, environment, query))
    }

    async fn forget_changes(
        &self,
        environment: EnvironmentId,
        kept: RangeInclusive<Timestamp>,
        kept_max: i64,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| {
            feed::forget_changes(connection, environment, &kept, kept_max, at_most)
        })
        .await
    }

    async fn forget_audit_log(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| feed::forget_audit_log(connection, environment, before, at_most))
            .await
    }
}
