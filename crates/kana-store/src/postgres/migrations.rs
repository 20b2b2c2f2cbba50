//! Plain SQL files, numbered, applied in order by whoever starts first, each once.

use deadpool_postgres::Object;

use super::locks;
use crate::error::StoreError;

/// In order. The table `schema_version` says how many a database has.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_foundation.sql")];

/// Brings the database to this release's schema. Nodes that start together take turns: the first
/// migrates, the others wait and find nothing to do.
pub(super) async fn run(connection: &mut Object) -> Result<(), StoreError> {
    // What is read below must be what the one before us has left, so the lock comes first, in a
    // statement of its own. The rest is one transaction: a migration that fails leaves nothing.
    let transaction = connection.transaction().await?;
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1, $2)", &locks::migrations()).await?;
    let exists = "SELECT to_regclass('kana.schema_version') IS NOT NULL";
    let found = if transaction.query_one(exists, &[]).await?.try_get(0)? {
        let version = "SELECT version FROM schema_version";
        transaction.query_one(version, &[]).await?.try_get::<_, i64>(0)?
    } else {
        0
    };
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(found..) else {
        return Err(StoreError::NewerSchema { found, known: MIGRATIONS.len() });
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
    }
    let version = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    transaction.execute("UPDATE schema_version SET version = $1", &[&version]).await?;
    Ok(transaction.commit().await?)
}
