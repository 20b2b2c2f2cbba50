//! What a server of PostgreSQL is like (contract: `operations.md`, "Backup, restore, check, doctor").

use kana_core::Timestamp;

use super::asking::{ask_alone, only};
use super::connections::Connections;
use super::leased::Leased;
use super::migrations;
use super::protection::Protection;
use super::settings::Settings;
use super::store::PostgresStore;
use crate::error::StoreError;
use crate::migration_files::POSTGRES;

const SURVEY: &str = "
    SELECT current_setting('server_version'), current_user::text,
        current_setting('max_connections')::bigint
            - current_setting('superuser_reserved_connections')::bigint,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";

/// A server, and our database on it.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The version of the server, like `15.18`.
    pub version: String,
    /// The role of the database URL.
    pub role: String,
    /// How many connections the server has for all roles that are no superusers.
    pub connections_max: i64,
    /// How many connections are open, of everybody.
    pub connections_open: i64,
    /// The server's clock.
    pub now: Timestamp,
    /// It accepts no changes.
    pub is_read_only: bool,
    /// How many migrations the database has; 0 if it has no tables.
    pub schema_version: usize,
    /// How many this release has.
    pub schema_known: usize,
    /// What protects the connection.
    pub protection: Option<Protection>,
}

impl PostgresStore {
    /// Connects to the database of `url`, whatever its schema is, and looks around. Changes nothing. Fails
    /// as [`open`](Self::open) does where there is no connection as our sessions need it.
    pub async fn survey(url: &str, settings: Settings) -> Result<Survey, StoreError> {
        let connections = Connections::new(url, settings)?;
        let taken = Leased::take(&connections.readers).await;
        let mut connection = taken.map_err(|error| settings.pooler.explain(error))?;
        let client = connection.get()?;
        let rows = ask_alone(client, &connections.session, SURVEY, &[]).await?;
        let schema_version = migrations::version(client).await?;
        // A second connection shows a pooler. Whether the server has room for more is not our question.
        if let Err(error @ StoreError::SessionDiffers { .. }) =
            Leased::take(&connections.writers).await
        {
            return Err(error);
        }
        let row = only(&rows)?;
        Ok(Survey {
            version: row.try_get(0)?,
            role: row.try_get(1)?,
            connections_max: row.try_get(2)?,
            connections_open: row.try_get(3)?,
            now: Timestamp::from_ms(row.try_get(4)?),
            is_read_only: row.try_get(5)?,
            schema_version,
            schema_known: POSTGRES.len(),
            protection: connections.protection(),
        })
    }
}
