use kana_store::{PostgresStore, SqliteStore};

use super::{Failure, for_a_tool};
use crate::settings::DatabaseSettings;

/// Migrates the database to the schema of this release.
pub(crate) async fn run(settings: &DatabaseSettings) -> Result<(), Failure> {
    match &settings.database_url {
        Some(url) => drop(PostgresStore::open(url.reveal(), for_a_tool(settings)).await?),
        None => drop(SqliteStore::migrate(&settings.data_dir)?),
    }
    tracing::info!("the database has the schema of this release");
    Ok(())
}
