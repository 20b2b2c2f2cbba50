//! The commands, a module each.

pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod pricing;
mod progress;
pub(crate) mod serve;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kana_service::{Error, InitialKeys};
use kana_store::transfer::{Tally, TransferError};
use kana_store::{PostgresStore, SqliteStore, Store, StoreError, postgres};

use crate::settings::DatabaseSettings;

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(StoreError),
    Service(Error),
    NoApp,
    NoKey(i64),
    Listen(SocketAddr, std::io::Error),
    Export(TransferError),
    Import(TransferError),
    File(PathBuf, std::io::Error),
    Interrupted,
    Io(std::io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Service(error) => error.fmt(f),
            Self::NoApp => f.write_str("the database has no app yet: run kana init first"),
            Self::NoKey(id) => write!(f, "there is no key {id}: see kana keys list"),
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}; choose another with --listen")
            }
            Self::Export(error) => error.fmt(f),
            Self::Import(error) => write!(f, "{error}; nothing was imported"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Interrupted => f.write_str("interrupted; no file was made"),
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

/// What a command needs that asks one thing and ends.
const FOR_A_TOOL: postgres::Settings =
    postgres::Settings { connections_max: 3, lanes: 1, ..postgres::Settings::DEFAULT };

/// Opens the database that the settings name.
async fn open(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.database_url {
        Some(url) => Arc::new(PostgresStore::open(url, FOR_A_TOOL).await?),
        None => Arc::new(SqliteStore::open(&settings.data_dir)?),
    })
}

/// What an export holds, for a person: how many records of each kind, and its checksum.
fn describe(tally: &Tally) -> String {
    let counts = tally.counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> =
        counts.map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    let total = tally.counts.total();
    format!("{total} records ({}), checksum {}", counts.join(", "), tally.checksum)
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
