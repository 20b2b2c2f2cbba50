//! The commands, a module each.

pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod pricing;
mod progress;
pub(crate) mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use kana_service::{Error, InitialKeys, SystemClock, Uncommitted};
use kana_store::jobs::JobId;
use kana_store::transfer::{Tally, TransferError};
use kana_store::{PostgresStore, SqliteStore, Store, StoreError, postgres};

use crate::settings::{DatabaseSettings, ListenAddress};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(StoreError),
    Service(Error),
    NoApp,
    NoKey(i64),
    NoJob(JobId),
    JobRuns(JobId),
    Listen(ListenAddress, std::io::Error),
    Export(TransferError),
    Import(TransferError),
    File(PathBuf, std::io::Error),
    Interrupted,
    /// Keys could not be printed, so they were not stored.
    NotPrinted {
        what: &'static str,
        source: std::io::Error,
    },
    /// Keys were printed but could not be stored.
    NotCommitted {
        what: &'static str,
        source: StoreError,
    },
    Output(std::io::Error),
    /// The system clock is before 1970 or after 9999.
    Clock,
    /// A thread that the server needs has panicked.
    ThreadLost(String),
    Io(std::io::Error),
}

/// The exit code of a process that ends because of a bug.
pub(crate) const BUG: u8 = 70;

impl Failure {
    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::ThreadLost(_) => ExitCode::from(BUG),
            _ => ExitCode::FAILURE,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Service(error) => error.fmt(f),
            Self::NoApp => f.write_str("the database has no app yet: run kana init first"),
            Self::NoKey(id) => write!(f, "there is no key {id}: see kana keys list"),
            Self::NoJob(id) => {
                write!(f, "there is no job {id}: see kana jobs list; one that is done is not kept")
            }
            Self::JobRuns(id) => write!(
                f,
                "the job {id} is running: see kana jobs list, and retry it if this attempt fails"
            ),
            Self::Listen(address, error) => {
                write!(
                    f,
                    "cannot listen on {address}: {error}; choose another with --listen or KANA_LISTEN"
                )
            }
            Self::Export(error) => error.fmt(f),
            Self::Import(error) => write!(f, "{error}; nothing was imported"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Interrupted => f.write_str("interrupted; no file was made"),
            Self::NotPrinted { what, source } => write!(
                f,
                "cannot write to standard output: {source}; {what} was not created, so that no \
                 key is lost"
            ),
            Self::NotCommitted { what, source: StoreError::OutcomeUnknown(source) } => write!(
                f,
                "the database went away, and whether {what} was stored is not known ({source}): \
                 kana keys list shows whether what is printed above is valid"
            ),
            Self::NotCommitted { what, source } => write!(
                f,
                "what is printed above is not valid: {what} could not be stored: {source}"
            ),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Clock => {
                f.write_str("the system's clock is before the year 1970 or after 9999: set it")
            }
            Self::ThreadLost(name) => {
                write!(f, "the server cannot go on: its thread {name} has panicked, which is a bug")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The parts that a short command needs.
const FOR_A_TOOL: postgres::Settings =
    postgres::Settings { connections_max: 3, lanes: 1, ..postgres::Settings::DEFAULT };

/// Opens the database of the settings. Creates it if there is none, and migrates it.
async fn open(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.database_url {
        Some(url) => Arc::new(PostgresStore::open(url.reveal(), FOR_A_TOOL).await?),
        None => Arc::new(SqliteStore::open(&settings.data_dir)?),
    })
}

/// Opens an existing database with this release's schema. Creates and migrates nothing.
async fn open_existing(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.database_url {
        Some(url) => Arc::new(PostgresStore::open_existing(url.reveal(), FOR_A_TOOL).await?),
        None => Arc::new(SqliteStore::open_existing(&settings.data_dir)?),
    })
}

/// Describes an export: the number of records of each kind, and its checksum.
fn describe(tally: &Tally) -> String {
    let counts = tally.counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> =
        counts.map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    let total = tally.counts.total();
    format!("{total} records ({}), checksum {}", counts.join(", "), tally.checksum)
}

/// Creates the app and prints its keys. Returns false if there is an app already.
async fn create_app(store: &dyn Store, name: &str) -> Result<bool, Failure> {
    let Some(app) = kana_service::begin_init(store, &SystemClock, name).await? else {
        return Ok(false);
    };
    print_then_commit(app, "the app", as_variables).await?;
    Ok(true)
}

/// Prints new keys and then commits them, so that no key is stored that was never shown. Errors
/// call the created thing `what`.
async fn print_then_commit<T>(
    uncommitted: Uncommitted<T>,
    what: &'static str,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let text = text(&uncommitted.secrets);
    print(&text).map_err(|source| Failure::NotPrinted { what, source })?;
    match uncommitted.commit().await {
        Ok(_) => Ok(()),
        Err(source) => Err(Failure::NotCommitted { what, source }),
    }
}

/// Formats the first keys as `NAME=value` lines, for a shell or a `.env` file.
fn as_variables(keys: &InitialKeys) -> String {
    format!(
        "KANA_DEV_KEY={}\nKANA_DEV_PUBLIC_KEY={}\nKANA_LIVE_KEY={}\nKANA_LIVE_PUBLIC_KEY={}\n",
        keys.test_private.reveal(),
        keys.test_public.reveal(),
        keys.live_private.reveal(),
        keys.live_public.reveal(),
    )
}

/// Writes a whole text to standard output.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
