//! Applies migrations in order, each once; the node that starts first does. The table `schema_version`
//! has how many a database has.

use std::cmp::Ordering;

use deadpool_postgres::Object;
use tokio_postgres::Client;

use super::asking::{only, query};
use super::session::Session;
use super::{locks, user_search};
use crate::deadlines::{Deadlines, within};
use crate::error::StoreError;
use crate::migration_files::{POSTGRES, POSTGRES_USER_SEARCH};

/// Returns how many migrations the database has; 0 if it has none of our tables.
pub(super) async fn version(connection: &Client) -> Result<usize, StoreError> {
    // This reads the system catalog, since a session may remember that a name does not exist.
    let exists = "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'kana' AND c.relname = 'schema_version'";
    if query(connection, exists, &[]).await?.is_empty() {
        return Ok(0);
    }
    let version = query(connection, "SELECT version FROM kana.schema_version", &[]).await?;
    let version: i64 = only(&version)?.try_get(0)?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Checks that the database has this release's schema.
pub(super) async fn check(connection: &Client) -> Result<(), StoreError> {
    let (found, known) = (version(connection).await?, POSTGRES.len());
    match found.cmp(&known) {
        Ordering::Equal => Ok(()),
        Ordering::Less if found == 0 => {
            Err(StoreError::NoDatabaseIn { place: "the schema kana of the database URL".into() })
        }
        Ordering::Less => Err(StoreError::OlderSchema { found, needed: known }),
        Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
    }
}

/// Brings the database to this release's schema. Nodes that start together take turns: the first
/// migrates, the others wait and find nothing to do.
pub(super) async fn run(
    connection: &mut Object,
    session: &Session,
    limits: Deadlines,
) -> Result<(), StoreError> {
    // Most starts find nothing to do, and need no deadline as long as a migration's.
    if within(limits.answer, version(connection)).await? == POSTGRES.len() {
        return Ok(());
    }
    within(limits.migration, migrate(connection, session, limits)).await
}

async fn migrate(
    connection: &mut Object,
    session: &Session,
    limits: Deadlines,
) -> Result<(), StoreError> {
    // What is read below must be what the one before us has left, so the lock comes first, in a
    // statement of its own. The rest is one transaction: a migration that fails leaves nothing.
    let transaction = connection.transaction().await?;
    let set =
        format!("{}SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0", session.set_local);
    transaction.batch_execute(&set).await?;
    let client = transaction.client();
    query(client, "SELECT pg_advisory_xact_lock($1, $2)", &locks::migrations()).await?;
    let found = version(client).await?;
    let Some(missing) = POSTGRES.get(found..) else {
        return Err(StoreError::NewerSchema { found, known: POSTGRES.len() });
    };
    if missing.is_empty() {
        return Ok(());
    }
    if found == 0 {
        transaction
            .batch_execute(
                "CREATE SCHEMA IF NOT EXISTS kana;
                 CREATE TABLE schema_version (version bigint NOT NULL);
                 INSERT INTO schema_version VALUES (0)",
            )
            .await?;
    }
    for migration in missing {
        transaction.batch_execute(migration).await?;
        if *migration == POSTGRES_USER_SEARCH {
            user_search::fill(client, limits.migration).await?;
        }
    }
    let version = i64::try_from(POSTGRES.len()).unwrap_or(i64::MAX);
    query(client, "UPDATE schema_version SET version = $1", &[&version]).await?;
    Ok(transaction.commit().await?)
}
