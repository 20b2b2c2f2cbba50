use super::{Failure, create_app, open};
use crate::settings::InitSettings;

/// Creates the app and prints its keys. If there is an app already, logs that and changes nothing.
pub(crate) async fn run(settings: InitSettings) -> Result<(), Failure> {
    let store = open(&settings.database).await?;
    if !create_app(store.as_ref(), &settings.app).await? {
        tracing::info!(
            "the database has an app already, and its keys were printed when it was made: \
             nothing has changed (kana keys create makes another key)"
        );
    }
    Ok(())
}
