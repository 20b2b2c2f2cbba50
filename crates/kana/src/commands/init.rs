use kana_service::SystemClock;

use super::{Failure, open, print_keys};
use crate::settings::InitSettings;

/// Makes the app and prints its keys; on a database that has one, says so.
pub(crate) async fn run(settings: InitSettings) -> Result<(), Failure> {
    let store = open(&settings.database).await?;
    match kana_service::init(store.as_ref(), &SystemClock, &settings.app).await? {
        Some(keys) => print_keys(&keys)?,
        None => tracing::info!(
            "the database has an app already, and its keys were printed when it was made: \
             nothing has changed (kana keys create makes another key)"
        ),
    }
    Ok(())
}
