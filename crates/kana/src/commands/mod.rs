//! The commands, a module each.

pub(crate) mod admins;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod healthcheck;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod manual;
pub(crate) mod migrate;
pub(crate) mod pricing;
mod progress;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod users;
mod whole_file;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use kana_core::Refusal;
use kana_http::TlsProblem;
use kana_service::{AdminError, EnvironmentKind, Error, InitialKeys, SystemClock, Uncommitted};
use kana_store::jobs::JobId;
use kana_store::transfer::{Tally, TransferError};
use kana_store::{PostgresStore, SqliteStore, Store, StoreError, postgres};

use crate::settings::reading::WRONG_USE;
use crate::settings::{AddressSettings, DatabaseSettings, ListenAddress};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(StoreError),
    Service(Error),
    /// People were not changed.
    Admin(AdminError),
    NoApp,
    NoKey(i64),
    /// The key is the last private one of its environment.
    LastKey(i64, EnvironmentKind),
    /// The user is not named: standard error may be collected, and an id can be an e-mail.
    NoUser,
    NoJob(JobId),
    JobRuns(JobId),
    Listen(ListenAddress, std::io::Error),
    ListenForMetrics(ListenAddress, std::io::Error),
    Export(TransferError),
    Import(TransferError),
    File(PathBuf, std::io::Error),
    Interrupted,
    /// A command of the embedded engine was given the URL of a shared database.
    EmbeddedOnly(&'static str),
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
    /// The certificate or its key cannot be used.
    Tls(TlsProblem),
    Output(std::io::Error),
    Input(std::io::Error),
    /// The system clock is before 1970 or after 9999.
    Clock,
    /// A thread that the server needs has panicked.
    ThreadLost(String),
    /// The database is damaged where every write needs it.
    CannotWrite(String),
    /// What a command has found wrong stands on standard output.
    Found(&'static str),
    /// `kana healthcheck` has found that the server is not ready, and why.
    NotReady(String),
    Io(std::io::Error),
}

/// The exit code of a process that ends because of a bug.
pub(crate) const BUG: u8 = 70;

impl Failure {
    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::ThreadLost(_) => ExitCode::from(BUG),
            // Some of what can be wrong with a URL depends on other settings.
            Self::Store(StoreError::DatabaseUrl { .. }) | Self::Tls(_) => ExitCode::from(WRONG_USE),
            _ => ExitCode::FAILURE,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            // Unlike a caller of the API, who reads this may know what is wrong.
            Self::Service(Error::Unavailable(cause)) => write!(f, "{cause}; nothing was recorded"),
            Self::Service(error) => error.fmt(f),
            Self::Admin(error) => error.fmt(f),
            Self::NoApp => f.write_str("the database has no app yet: run kana init first"),
            Self::NoKey(id) => write!(f, "there is no key {id}: see kana keys list"),
            Self::LastKey(id, environment) => write!(
                f,
                "the key {id} is the last private key of {environment}, and no program would get in: \
                 create another one first, or say --yes"
            ),
            Self::NoUser => f.write_str("there is no user with this id in this environment"),
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
            Self::ListenForMetrics(address, error) => write!(
                f,
                "cannot listen on {address}: {error}; choose another with --metrics-listen or \
                 KANA_METRICS_LISTEN"
            ),
            Self::Export(error) => error.fmt(f),
            Self::Import(error) => write!(f, "{error}; nothing was imported"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::EmbeddedOnly(command) => write!(
                f,
                "{command} is for the embedded database, and --database-url is set: back up PostgreSQL \
                 with its own tools, as pg_dump, or use kana export and kana import"
            ),
            Self::Interrupted => f.write_str("interrupted; no file was made"),
            Self::NotPrinted { what, source } => write!(
                f,
                "cannot write to standard output: {source}; {what} was not created, so that \
                 nothing is lost"
            ),
            Self::NotCommitted { what, source: StoreError::OutcomeUnknown(source) } => write!(
                f,
                "the database went away, and whether {what} was stored is not known ({source}): \
                 kana keys list and kana admins list show whether what is printed above is valid"
            ),
            Self::NotCommitted { what, source } => write!(
                f,
                "what is printed above is not valid: {what} could not be stored: {source}"
            ),
            Self::Tls(problem) => write!(f, "TLS: {problem}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Input(error) => write!(f, "cannot read standard input: {error}"),
            Self::Clock => {
                f.write_str("the system's clock is before the year 1970 or after 9999: set it")
            }
            Self::ThreadLost(name) => {
                write!(f, "the server cannot go on: its thread {name} has panicked, which is a bug")
            }
            Self::CannotWrite(error) => write!(f, "the server cannot go on: {error}"),
            Self::Found(what) => f.write_str(what),
            Self::NotReady(reason) => write!(f, "not ready: {reason}"),
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
        match error {
            Error::Refused(Refusal::UserNotFound(_)) => Self::NoUser,
            error => Self::Service(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The connections that a short command needs.
fn for_a_tool(settings: &DatabaseSettings) -> postgres::Settings {
    let pooler = settings.database_pooler.into();
    postgres::Settings { connections_max: 3, lanes: 1, pooler, ..postgres::Settings::DEFAULT }
}

/// Opens the database of the settings. Creates it if there is none, and migrates it.
async fn open(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.database_url {
        Some(url) => Arc::new(PostgresStore::open(url.reveal(), for_a_tool(settings)).await?),
        None => Arc::new(SqliteStore::open(&settings.data_dir)?),
    })
}

/// Opens an existing database with this release's schema. Creates and migrates nothing.
async fn open_existing(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.database_url {
        Some(url) => {
            Arc::new(PostgresStore::open_existing(url.reveal(), for_a_tool(settings)).await?)
        }
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

/// Where a new app's dashboard is.
#[derive(Clone, Copy)]
struct DashboardPlace<'a> {
    address: &'a AddressSettings,
    /// The address that the server listens on, if it does.
    bound: Option<SocketAddr>,
}

/// Creates the app and prints its keys, and the link to its dashboard if it has one. Returns false if
/// there is an app already.
async fn create_app(
    store: &dyn Store,
    name: &str,
    dashboard: Option<DashboardPlace<'_>>,
) -> Result<bool, Failure> {
    let Some(app) = kana_service::begin_init(store, &SystemClock, name).await? else {
        return Ok(false);
    };
    print_then_commit(app, "the app", |keys| as_variables(keys, dashboard)).await?;
    Ok(true)
}

/// Opens an existing database that has an app.
async fn open_with_app(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    let store = open_existing(settings).await?;
    match store.app().await? {
        Some(_) => Ok(store),
        None => Err(Failure::NoApp),
    }
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

/// Formats the first keys as `NAME=value` lines, for a shell or a `.env` file, and the link to the
/// dashboard as a comment.
fn as_variables(keys: &InitialKeys, dashboard: Option<DashboardPlace<'_>>) -> String {
    let mut text = format!(
        "KANA_DEV_KEY={}\nKANA_DEV_PUBLIC_KEY={}\nKANA_LIVE_KEY={}\nKANA_LIVE_PUBLIC_KEY={}\n",
        keys.test_private.reveal(),
        keys.test_public.reveal(),
        keys.live_private.reveal(),
        keys.live_public.reveal(),
    );
    if let Some(DashboardPlace { address, bound }) = dashboard {
        let link = address.welcome_link(bound, keys.welcome.reveal());
        text.push_str(&format!("# Dashboard: {link}\n"));
    }
    text
}

/// Writes a whole text to standard output.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
