use serde_json::Value;

use crate::account::Account;
use crate::error::ApiError;
use crate::expand::expand;
use crate::keys::Access;
use crate::params::Params;
use crate::{
    checkout, customers, events, meter_events, meters, prices, products, subscription_items,
    subscriptions,
};

/// Answers a call of Stripe's API. `path` is without the query.
pub(crate) fn answer(
    account: &mut Account,
    method: &str,
    path: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let paths = params.texts("expand")?;
    // What cannot be expanded is refused before anything is done.
    let before = (method != "GET" && !paths.is_empty()).then(|| account.clone());
    let mut answer = call(account, method, path, params)?;
    if let Err(error) = expand(account, &mut answer, &paths) {
        if let Some(before) = before {
            *account = before;
        }
        return Err(error);
    }
    Ok(answer)
}

/// The permission that a restricted key needs for a call.
pub(crate) fn permission(method: &str, path: &str) -> Option<(&'static str, Access)> {
    let segments = segments(path);
    let resource = match segments.first()? {
        &"billing" if segments.get(1) == Some(&"meter_events") => "billing_meter_events",
        &"billing" => "billing_meters",
        &"checkout" => "checkout_sessions",
        &"account" => "account",
        &"customers" => "customers",
        &"products" => "products",
        &"prices" => "prices",
        &"subscriptions" | &"subscription_items" => "subscriptions",
        &"events" => "events",
        _ => return None,
    };
    Some((resource, if method == "GET" { Access::Read } else { Access::Write }))
}

/// What follows `/v1/`.
fn segments(path: &str) -> Vec<&str> {
    path.strip_prefix("/v1/")
        .or_else(|| path.strip_prefix("/v2/core/"))
        .map(|rest| rest.split('/').collect())
        .unwrap_or_default()
}

fn call(
    account: &mut Account,
    method: &str,
    path: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    match (method, segments(path).as_slice()) {
        ("GET", ["account"]) => Ok(account.retrieve()),
        ("POST", ["customers"]) => customers::create(account, params),
        ("GET", ["customers"]) => customers::list(account, params),
        ("GET", ["customers", id]) => customers::retrieve(account, id),
        ("POST", ["customers", id]) => customers::update(account, id, params),
        ("DELETE", ["customers", id]) => customers::delete(account, id, params),
        ("POST", ["products"]) => products::create(account, params),
        ("GET", ["products"]) => products::list(account, params),
        ("GET", ["products", id]) => products::retrieve(account, id),
        ("POST", ["products", id]) => products::update(account, id, params),
        ("POST", ["prices"]) => prices::create(account, params),
        ("GET", ["prices"]) => prices::list(account, params),
        ("GET", ["prices", id]) => prices::retrieve(account, id),
        ("POST", ["prices", id]) => prices::update(account, id, params),
        ("POST", ["subscriptions"]) => subscriptions::create(account, params),
        ("GET", ["subscriptions"]) => subscriptions::list(account, params),
        ("GET", ["subscriptions", id]) => subscriptions::retrieve(account, id),
        ("POST", ["subscriptions", id]) => subscriptions::update(account, id, params),
        ("DELETE", ["subscriptions", id]) => subscriptions::cancel(account, id, params),
        ("GET", ["subscription_items"]) => subscription_items::list(account, params),
        ("GET", ["subscription_items", id]) => subscription_items::retrieve(account, id),
        ("POST", ["checkout", "sessions"]) => checkout::create(account, params),
        ("GET", ["checkout", "sessions"]) => checkout::list(account, params),
        ("GET", ["checkout", "sessions", id]) => checkout::retrieve(account, id),
        ("GET", ["checkout", "sessions", id, "line_items"]) => {
            checkout::line_items(account, id, params)
        }
        ("POST", ["checkout", "sessions", id, "expire"]) => checkout::expire(account, id, params),
        ("POST", ["billing", "meters"]) => meters::create(account, params),
        ("GET", ["billing", "meters"]) => meters::list(account, params),
        ("GET", ["billing", "meters", id]) => meters::retrieve(account, id),
        ("POST", ["billing", "meters", id, "deactivate"]) => {
            meters::set_status(account, id, params, "inactive")
        }
        ("POST", ["billing", "meters", id, "reactivate"]) => {
            meters::set_status(account, id, params, "active")
        }
        ("GET", ["billing", "meters", id, "event_summaries"]) => {
            meter_events::summaries(account, id, params)
        }
        ("POST", ["billing", "meter_events"]) => meter_events::create(account, params),
        ("GET", ["events"]) => events::list(account, params),
        ("GET", ["events", id]) if path.starts_with("/v2/") => events::retrieve_thin(account, id),
        ("GET", ["events", id]) => events::retrieve(account, id),
        _ => Err(ApiError::unknown_address(method, path)),
    }
}
