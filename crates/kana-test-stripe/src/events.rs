use serde_json::Value;

use crate::account::Account;
use crate::error::ApiError;
use crate::params::Params;
use crate::table::{created_in, only_filters, page};

/// How long Stripe answers events.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;
/// The most types that a list of events may be asked for.
const TYPES_MAX: usize = 20;

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    let event = account.events.get(id).filter(|event| is_kept(account, event));
    event.cloned().ok_or_else(|| ApiError::no_such("event", id))
}

/// An event that the webhook was sent without its data.
pub(crate) fn retrieve_thin(account: &Account, id: &str) -> Result<Value, ApiError> {
    account.thin_events.get(id).cloned().ok_or_else(|| ApiError::no_such("event", id))
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["type", "types", "created"])?;
    let one = params.text("type")?;
    let types = params.texts("types")?;
    if types.len() > TYPES_MAX {
        let message = format!("Invalid array: types must have at most {TYPES_MAX} elements.");
        return Err(ApiError::invalid("types", None, message));
    }
    if one.is_some() && !types.is_empty() {
        let message = "You may only specify one of these parameters: type, types.";
        return Err(ApiError::invalid("types", None, message));
    }
    let is_wanted = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default();
        let one = one.is_none_or(|one| matches(one, kind));
        one && (types.is_empty() || types.iter().any(|wanted| matches(wanted, kind)))
    };
    let rows = account.events.newest_first(|event| {
        Ok(is_kept(account, event) && is_wanted(event) && created_in(params, event)?)
    })?;
    page(&rows, params, "/v1/events", "event")
}

fn is_kept(account: &Account, event: &Value) -> bool {
    event["created"].as_i64().unwrap_or_default() > account.now - KEPT_SECONDS
}

/// Whether `kind` is the type `wanted`, which may end with `*`.
fn matches(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => wanted == kind,
    }
}
