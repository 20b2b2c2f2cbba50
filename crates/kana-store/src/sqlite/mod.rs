//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`, in a data directory.
//!
//! Reads take microseconds and run where they are asked for, on a connection of a small pool.
//! There is one connection that writes, so that nobody polls for SQLite's lock. A commit waits
//! for the disk: whoever writes must not do it on a thread that others need.

mod catalog;
mod checkpoints;
mod connection;
mod counter_log;
mod facts;
mod keys;
mod lists;
mod migrations;
mod readers;
mod recent_counters;
mod statements;
#[cfg(test)]
mod tests;
mod transaction;
mod transfer;
mod write_behind;

use std::collections::HashSet;
use std::fs::{DirBuilder, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use kana_core::Timestamp;

use crate::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, NewKey, TokenSecret,
};
use crate::error::StoreError;
use crate::store::{Store, Transaction, WriteTransaction};
use crate::threads::NeededThreads;
use crate::transfer::{Export, Import, Scope};
use checkpoints::Checkpoints;
use connection::Connection;
use readers::{ReaderPool, Views};
use recent_counters::RecentCounters;
use transaction::{ServersWriter, SqliteTransaction, WriteLease, Writer};
use write_behind::WriteBehind;

/// The embedded engine on one data directory.
pub struct SqliteStore {
    pool: Arc<ReaderPool>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    threads: NeededThreads,
    /// Keeps a second server off the data directory.
    _claim: Option<File>,
}

impl SqliteStore {
    /// Opens the database in `data_dir`, which is made if it does not exist, and migrates it.
    /// Other processes may use it at the same time.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        make_data_dir(data_dir)?;
        Self::open_with(data_dir, None)
    }

    /// Opens the database for a server, which alone changes users and the catalog: a second one is
    /// refused with [`DataDirInUse`](StoreError::DataDirInUse) for as long as this store lives.
    /// The operating system gives the claim back when the process ends, however it ends.
    pub fn open_for_server(data_dir: &Path) -> Result<Self, StoreError> {
        make_data_dir(data_dir)?;
        Self::open_with(data_dir, Some(claim(data_dir)?))
    }

    fn open_with(data_dir: &Path, claim: Option<File>) -> Result<Self, StoreError> {
        let file = data_dir.join("kana.db");
        let statements = Arc::new(AtomicU64::new(0));
        let threads = NeededThreads::default();
        let _turn = wait_for_turn(data_dir)?;
        let mut connection = Connection::open_writer(&file, &statements)?;
        migrations::run(&mut connection)?;
        let (server, views) = if claim.is_some() {
            // SQLite otherwise copies its log by itself, while whoever commits waits.
            connection.never_checkpoint_by_itself()?;
            connection.run("BEGIN IMMEDIATE")?;
            counter_log::write_through(&connection)?;
            connection.run("COMMIT")?;
            let recent = Arc::new(RecentCounters::default());
            let checkpoints = Checkpoints::start(&file, &statements, &threads)?;
            let behind = WriteBehind::new(Arc::clone(&recent));
            // Nobody else commits what readers of users and catalogs look at.
            (Some(ServersWriter { checkpoints, behind }), Views::Kept(recent))
        } else {
            (None, Views::Fresh)
        };
        Ok(Self {
            pool: Arc::new(ReaderPool::new(file, statements, views)),
            writer: Arc::new(tokio::sync::Mutex::new(Writer {
                connection,
                server,
                used_features: HashSet::new(),
            })),
            threads,
            _claim: claim,
        })
    }

    /// How many SQL statements this store has run, those that begin and end transactions
    /// included. Tests hold it against what a call may cost.
    #[must_use]
    pub fn statements_run(&self) -> u64 {
        self.pool.statements_run()
    }

    async fn begin_write(&self) -> Result<SqliteTransaction<WriteLease>, StoreError> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        SqliteTransaction::begin_write(WriteLease::new(writer, &self.pool))
    }
}

/// Claims `data_dir` for one server.
fn claim(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("kana.lock");
    let failed = |source| StoreError::DataDir { path: path.clone(), source };
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::DataDirInUse { path: data_dir.to_path_buf() })
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Lets one process at a time open the database. A new file is put into WAL mode, for which
/// SQLite needs it alone and does not wait.
fn wait_for_turn(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("kana.open");
    let locked = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| StoreError::DataDir { path, source })
}

fn make_data_dir(data_dir: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    // What is in there is the users' and nobody else's on the machine.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(data_dir)
        .map_err(|source| StoreError::DataDir { path: data_dir.to_path_buf(), source })
}

#[async_trait]
impl Store for SqliteStore {
    async fn app(&self) -> Result<Option<App>, StoreError> {
        let connection = self.pool.take()?;
        keys::app(&connection)
    }

    async fn create_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let transaction = self.begin_write().await?;
        let created = keys::create_app(transaction.connection(), &app, &keys, created_at)?;
        transaction.commit_changes()?;
        Ok(created)
    }

    async fn add_key(&self, key: NewKey) -> Result<(), StoreError> {
        let transaction = self.begin_write().await?;
        keys::add_key(transaction.connection(), &key)?;
        transaction.commit_changes()
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        let connection = self.pool.take()?;
        keys::keys(&connection)
    }

    async fn find_key(&self, hash: KeyHash) -> Result<Option<Key>, StoreError> {
        let connection = self.pool.take()?;
        keys::find_key(&connection, hash)
    }

    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<Option<Key>, StoreError> {
        let transaction = self.begin_write().await?;
        let key = keys::revoke_key(transaction.connection(), id, at)?;
        transaction.commit_changes()?;
        Ok(key)
    }

    async fn client_access(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Option<ClientAccess>, StoreError> {
        let connection = self.pool.take()?;
        keys::client_access(&connection, environment)
    }

    async fn provide_token_secret(
        &self,
        environment: EnvironmentId,
        secret: Vec<u8>,
        created_at: Timestamp,
    ) -> Result<TokenSecret, StoreError> {
        let transaction = self.begin_write().await?;
        let connection = transaction.connection();
        let signing = keys::provide_token_secret(connection, environment, &secret, created_at)?;
        transaction.commit_changes()?;
        Ok(signing)
    }

    async fn rotate_token_secret(
        &self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        earlier_valid_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let transaction = self.begin_write().await?;
        let connection = transaction.connection();
        let found =
            keys::rotate_token_secret(connection, environment, &secret, now, earlier_valid_until)?;
        transaction.commit_changes()?;
        Ok(found)
    }

    async fn set_simple_mode(
        &self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<bool, StoreError> {
        let transaction = self.begin_write().await?;
        let found = keys::set_simple_mode(transaction.connection(), environment, on)?;
        transaction.commit_changes()?;
        Ok(found)
    }

    fn needed_threads(&self) -> NeededThreads {
        self.threads.clone()
    }

    async fn forget_events(&self, before: Timestamp, at_most: usize) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let forgotten = transaction.forget_events(before, at_most)?;
        if forgotten > 0 {
            transaction.commit_changes()?;
        }
        Ok(forgotten > 0)
    }

    async fn export(&self, scope: &Scope) -> Result<Export, StoreError> {
        transfer::export(&self.pool, scope)
    }

    async fn import(&self) -> Result<Box<dyn Import>, StoreError> {
        Ok(Box::new(transfer::import(&self.pool)?))
    }

    async fn read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(SqliteTransaction::begin_read(self.pool.take_view()?)))
    }

    async fn write(&self) -> Result<Box<dyn WriteTransaction>, StoreError> {
        Ok(Box::new(self.begin_write().await?))
    }
}
