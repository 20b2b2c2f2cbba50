use std::io::BufWriter;
use std::sync::Arc;

use kana_core::id::UserId;
use kana_service::{Clock, EnvironmentKind, SystemClock};
use kana_store::transfer;

use super::{Failure, open_with_app};
use crate::settings::DatabaseSettings;

/// Prints everything that is stored of a user (contract: `operations.md`, "A user's own data").
pub(crate) async fn export(
    settings: &DatabaseSettings,
    environment: EnvironmentKind,
    id: &UserId,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let user = kana_service::find_user(store.as_ref(), environment, id).await?;
    let out = BufWriter::new(std::io::stdout().lock());
    transfer::export_user(store.as_ref(), environment, user, out).await.map_err(Failure::Export)?;
    Ok(())
}

/// Deletes a user. On return nothing is left to be deleted.
pub(crate) async fn delete(
    settings: &DatabaseSettings,
    environment: EnvironmentKind,
    id: UserId,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    kana_service::delete_user(&store, &clock, environment, id).await?;
    tracing::info!("the user is deleted from {environment}; backups keep what they hold");
    Ok(())
}
