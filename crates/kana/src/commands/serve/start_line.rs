//! The line of the log that says that the server is ready (contract: `operations.md`, "Logs").

use std::net::SocketAddr;

use kana_store::{PostgresStore, SqliteStore};

use crate::settings::reading::{SettingInForce, Source};
use crate::version::{COMMIT, VERSION};

/// The kind of database that a server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Returns the version of the schema, which a server brings to the newest.
    pub(super) fn schema_version(self) -> usize {
        match self {
            Self::Sqlite => SqliteStore::SCHEMA_VERSION,
            Self::Postgres => PostgresStore::SCHEMA_VERSION,
        }
    }
}

/// Logs that the server is ready, and what it is. `database_tls` is what protects the connections to a
/// shared database.
pub(super) fn log(
    (address, is_https): (SocketAddr, bool),
    engine: Engine,
    database_tls: Option<&str>,
    settings: &[SettingInForce],
) {
    let (scheme, tls) = if is_https { ("https", "TLSv1.2, TLSv1.3") } else { ("http", "none") };
    tracing::info!(
        version = VERSION,
        commit = COMMIT,
        engine = engine.name(),
        schema_version = engine.schema_version(),
        %address,
        tls,
        database_tls,
        settings = settings_that_differ(settings),
        "ready: listening on {scheme}://{address}"
    );
}

/// Returns the settings that do not come from their defaults, as `name=value`. Passwords are hidden in
/// them already.
fn settings_that_differ(settings: &[SettingInForce]) -> String {
    let given = settings.iter().filter(|setting| setting.source != Source::Default);
    let shown = given.map(|SettingInForce { name, value, .. }| {
        format!("{name}={}", value.as_deref().unwrap_or_default())
    });
    shown.collect::<Vec<_>>().join(" ")
}
