//! The commands, a module each.

pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod pricing;
pub(crate) mod serve;

use std::io::Write;
use std::net::SocketAddr;

use kana_service::{Error, InitialKeys};
use kana_store::{SqliteStore, StoreError};

use crate::settings::DatabaseSettings;

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The settings ask for something that this release does not have.
    DatabaseUrl,
    Store(StoreError),
    Service(Error),
    NoApp,
    NoKey(i64),
    Listen(SocketAddr, std::io::Error),
    Io(std::io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The URL itself may hold a password.
            Self::DatabaseUrl => f.write_str(
                "--database-url (KANA_DATABASE_URL) is set, but this release has only the \
                 embedded database: leave it out and use --data-dir",
            ),
            Self::Store(error) => error.fmt(f),
            Self::Service(error) => error.fmt(f),
            Self::NoApp => f.write_str("the database has no app yet: run kana init first"),
            Self::NoKey(id) => write!(f, "there is no key {id}: see kana keys list"),
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; choose another with --listen")
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

/// Opens the database that the settings name.
fn open(settings: &DatabaseSettings) -> Result<SqliteStore, Failure> {
    check_database_url(settings)?;
    Ok(SqliteStore::open(&settings.data_dir)?)
}

fn check_database_url(settings: &DatabaseSettings) -> Result<(), Failure> {
    match &settings.database_url {
        Some(_) => Err(Failure::DatabaseUrl),
        None => Ok(()),
    }
}

/// Prints the first keys, as `NAME=value` lines that a shell or a `.env` file can take.
fn print_keys(keys: &InitialKeys) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "KANA_DEV_KEY={}", keys.test_private.reveal())?;
    writeln!(out, "KANA_DEV_PUBLIC_KEY={}", keys.test_public.reveal())?;
    writeln!(out, "KANA_LIVE_KEY={}", keys.live_private.reveal())?;
    writeln!(out, "KANA_LIVE_PUBLIC_KEY={}", keys.live_public.reveal())?;
    out.flush()
}
