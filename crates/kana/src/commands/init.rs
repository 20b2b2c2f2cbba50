use super::{DashboardPlace, Failure, create_app, open};
use crate::settings::InitSettings;

/// Creates the app and prints its keys. If there is an app already, logs that and changes nothing.
pub(crate) async fn run(settings: InitSettings) -> Result<(), Failure> {
    let store = open(&settings.database).await?;
    let dashboard = DashboardPlace { address: &settings.address, bound: None };
    let dashboard = (!settings.dashboard.no_dashboard).then_some(dashboard);
    if !create_app(store.as_ref(), &settings.app, dashboard).await? {
        tracing::info!(
            "the database has an app already, and its keys were printed when it was made: \
             nothing has changed (kana keys create makes another key)"
        );
    }
    Ok(())
}
