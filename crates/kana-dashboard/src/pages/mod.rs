//! The pages, a file for each kind of thing.

mod account;
mod admin;
mod ahead;
mod audit;
mod audit_export;
mod confirm;
mod developers;
mod documentation;
mod draws;
mod explain;
mod feature;
mod features;
mod grant_rows;
mod hold_rows;
mod home;
mod integrations;
mod key;
mod list;
mod metadata;
mod override_rows;
mod overview;
mod package;
mod package_confirm;
mod package_edit;
mod package_form;
mod package_life;
mod packages;
mod settings;
mod sign_in;
mod suggestions;
mod thresholds;
mod usage_by_day;
mod usage_by_period;
mod user;
mod user_changes;
mod user_events;
mod user_form;
mod user_grants;
mod user_holds;
mod user_import;
mod user_overrides;
mod user_package;
mod user_subscription;
mod users;
mod users_export;
mod welcome;

use crate::route::Route;

/// Every route of the dashboard.
pub(crate) fn routes() -> Vec<Route> {
    [
        home::routes(),
        overview::routes(),
        sign_in::routes(),
        welcome::routes(),
        account::routes(),
        features::routes(),
        feature::routes(),
        packages::routes(),
        package::routes(),
        package_edit::routes(),
        package_life::routes(),
        users::routes(),
        users_export::routes(),
        user_import::routes(),
        user_form::routes(),
        user::routes(),
        user_changes::routes(),
        user_events::routes(),
        user_overrides::routes(),
        user_grants::routes(),
        user_holds::routes(),
        user_subscription::routes(),
        user_package::routes(),
        explain::routes(),
        integrations::routes(),
        developers::routes(),
        key::routes(),
        settings::routes(),
        admin::routes(),
        audit::routes(),
        audit_export::routes(),
        documentation::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
