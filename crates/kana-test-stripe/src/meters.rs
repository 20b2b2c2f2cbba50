use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::table::{only_filters, page};

const FORMULAS: [&str; 3] = ["count", "last", "sum"];
const STATUSES: [&str; 2] = ["active", "inactive"];
const NAME_LENGTH_MAX: usize = 100;

pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&[
        "customer_mapping",
        "default_aggregation",
        "display_name",
        "event_name",
        "event_time_window",
        "value_settings",
    ])?;
    let event_name = params.required("event_name")?;
    if event_name.len() > NAME_LENGTH_MAX {
        let message = format!("Invalid string: must be at most {NAME_LENGTH_MAX} characters");
        return Err(ApiError::invalid("event_name", None, message));
    }
    if active(account, event_name).is_some() {
        let message = format!("There is already an active meter with the event name {event_name}.");
        return Err(ApiError::invalid("event_name", None, message));
    }
    let aggregation = params.nested("default_aggregation")?;
    let aggregation = aggregation.ok_or_else(|| params.missing("default_aggregation"))?;
    let formula = aggregation.word("formula", &FORMULAS)?;
    let formula = formula.ok_or_else(|| aggregation.missing("formula"))?;
    let customer_key = payload_key(params, "customer_mapping", "stripe_customer_id")?;
    let value_key = payload_key(params, "value_settings", "value")?;
    let meter = json!({
        "id": random_id("mtr_"),
        "object": "billing.meter",
        "created": account.now,
        "customer_mapping": { "event_payload_key": customer_key, "type": "by_id" },
        "default_aggregation": { "formula": formula },
        "display_name": params.required("display_name")?,
        "event_name": event_name,
        "event_time_window": params.word("event_time_window", &["day", "hour"])?,
        "livemode": account.livemode,
        "status": "active",
        "status_transitions": { "deactivated_at": null },
        "updated": account.now,
        "value_settings": { "event_payload_key": value_key },
    });
    account.meters.put(meter.clone());
    account.emit("billing.meter.created", &meter);
    Ok(meter)
}

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    account.meters.get(id).cloned().ok_or_else(|| ApiError::no_such("billing meter", id))
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["status"])?;
    let status = params.word("status", &STATUSES)?;
    let rows = account
        .meters
        .newest_first(|meter| Ok(status.is_none_or(|status| meter["status"] == status)))?;
    page(&rows, params, "/v1/billing/meters", "billing meter")
}

/// Lets a meter take events, or no longer.
pub(crate) fn set_status(
    account: &mut Account,
    id: &str,
    params: &Params,
    status: &'static str,
) -> Result<Value, ApiError> {
    params.only(&[])?;
    let mut meter = retrieve(account, id)?;
    if meter["status"] == status {
        return Err(ApiError::invalid_request(format!("The meter is {status} already.")));
    }
    let is_active = status == "active";
    meter["status"] = status.into();
    meter["updated"] = account.now.into();
    meter["status_transitions"]["deactivated_at"] = (!is_active).then_some(account.now).into();
    account.meters.put(meter.clone());
    let kind = if is_active { "billing.meter.reactivated" } else { "billing.meter.deactivated" };
    account.emit(kind, &meter);
    Ok(meter)
}

/// The meter that takes events of this name.
pub(crate) fn active<'a>(account: &'a Account, event_name: &str) -> Option<&'a Value> {
    let mut meters = account.meters.rows();
    meters.find(|meter| meter["event_name"] == event_name && meter["status"] == "active")
}

/// The key of an event's payload that the object `name` gives, or else `default`.
fn payload_key(params: &Params, name: &str, default: &str) -> Result<String, ApiError> {
    let Some(settings) = params.nested(name)? else { return Ok(default.to_owned()) };
    settings.only(&["event_payload_key", "type"])?;
    Ok(settings.required("event_payload_key")?.to_owned())
}
