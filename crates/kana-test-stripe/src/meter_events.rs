use serde_json::{Value, json};

use crate::account::{Account, MeterEvent, random_id};
use crate::error::ApiError;
use crate::meters;
use crate::params::Params;
use crate::table::page;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// How old an event may be, and how far ahead.
const PAST_SECONDS_MAX: i64 = 35 * DAY_SECONDS;
const AHEAD_SECONDS_MAX: i64 = 5 * 60;
/// For how long an identifier counts once.
const UNIQUE_SECONDS: i64 = DAY_SECONDS;
const IDENTIFIER_LENGTH_MAX: usize = 100;
/// Events that are kept. Sums lack those that are forgotten.
const EVENTS_MAX: usize = 1_000_000;

/// Takes an event. What is wrong with its meter, customer or value is told by an event later, as Stripe does.
pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&["event_name", "identifier", "payload", "timestamp"])?;
    let name = params.required("event_name")?;
    let payload = params.nested("payload")?.ok_or_else(|| params.missing("payload"))?;
    let timestamp = params.integer("timestamp")?.unwrap_or(account.now);
    let range = account.now - PAST_SECONDS_MAX..=account.now + AHEAD_SECONDS_MAX;
    if !range.contains(&timestamp) {
        let message =
            "The timestamp must be within the past 35 days or up to 5 minutes in the future.";
        return Err(ApiError::invalid("timestamp", None, message));
    }
    let identifier = params.text("identifier")?.map_or_else(|| random_id("mev_"), str::to_owned);
    if !(1..=IDENTIFIER_LENGTH_MAX).contains(&identifier.len()) {
        let message = format!("Invalid string: must be 1 to {IDENTIFIER_LENGTH_MAX} characters");
        return Err(ApiError::invalid("identifier", None, message));
    }
    take_identifier(account, &identifier)?;
    let taken = json!({
        "object": "billing.meter_event",
        "created": account.now,
        "event_name": name,
        "identifier": identifier,
        "livemode": account.livemode,
        "payload": payload.json(),
        "timestamp": timestamp,
    });
    count(account, name, &payload, timestamp);
    Ok(taken)
}

/// What a customer has used in a stretch of time, by the meter's formula.
pub(crate) fn summaries(account: &Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&[
        "customer",
        "end_time",
        "ending_before",
        "limit",
        "start_time",
        "starting_after",
        "value_grouping_window",
    ])?;
    let meter = meters::retrieve(account, id)?;
    let customer = params.required("customer")?;
    let time = |name: &str| -> Result<i64, ApiError> {
        let time = params.integer(name)?.ok_or_else(|| params.missing(name))?;
        if time % 60 == 0 {
            return Ok(time);
        }
        Err(ApiError::invalid(name, None, format!("{name} must be aligned with minutes.")))
    };
    let (start, end) = (time("start_time")?, time("end_time")?);
    let values: Vec<f64> = account
        .meter_events
        .iter()
        .filter(|event| event.meter == id && event.customer == customer)
        .filter(|event| (start..end).contains(&event.timestamp))
        .map(|event| event.value)
        .collect();
    let value = match meter["default_aggregation"]["formula"].as_str() {
        Some("count") => values.iter().map(|_| 1.0).sum(),
        Some("last") => values.last().copied().unwrap_or_default(),
        _ => values.iter().sum::<f64>(),
    };
    let summary = json!({
        "id": format!("mtrsum_{start}_{end}_{customer}"),
        "object": "billing.meter_event_summary",
        "aggregated_value": value,
        "end_time": end,
        "livemode": account.livemode,
        "meter": id,
        "start_time": start,
    });
    let rows = if values.is_empty() { Vec::new() } else { vec![summary] };
    page(&rows, params, &format!("/v1/billing/meters/{id}/event_summaries"), "summary")
}

/// Fails if the identifier was used lately.
fn take_identifier(account: &mut Account, identifier: &str) -> Result<(), ApiError> {
    let now = account.now;
    let gone = account.identifiers.values().take_while(|at| now - **at >= UNIQUE_SECONDS).count();
    if gone > 0 {
        account.identifiers.drain(..gone);
    }
    if account.identifiers.contains_key(identifier) {
        let message = format!("An event already exists with identifier {identifier}.");
        return Err(ApiError::invalid("identifier", Some("duplicate_meter_event"), message));
    }
    account.identifiers.insert(identifier.to_owned(), now);
    Ok(())
}

/// Counts an event, or tells why it does not count.
fn count(account: &mut Account, name: &str, payload: &Params, timestamp: i64) {
    let Some(meter) = meters::active(account, name).cloned() else {
        let message = format!("No active meter has the event name {name}.");
        account.emit_thin("v1.billing.meter.no_meter_found", None, reason("no_meter", &message));
        return;
    };
    let id = meter["id"].as_str().unwrap_or_default();
    let field = |settings: &str| {
        let key = meter[settings]["event_payload_key"].as_str().unwrap_or_default();
        payload.text(key).ok().flatten().unwrap_or_default().to_owned()
    };
    let (customer, value) = (field("customer_mapping"), field("value_settings"));
    let is_known = account.customers.get(&customer).is_some_and(|known| known["deleted"] != true);
    let problem = match value.parse::<f64>() {
        _ if !is_known => Some(("meter_event_customer_not_found", "There is no such customer.")),
        Ok(value) if value.is_finite() => None,
        _ if value.is_empty() => Some(("meter_event_value_not_found", "There is no value.")),
        _ => Some(("meter_event_invalid_value", "The value is no number.")),
    };
    if let Some((code, message)) = problem {
        let kind = "v1.billing.meter.error_report_triggered";
        account.emit_thin(kind, Some(id), reason(code, message));
        return;
    }
    if account.meter_events.len() == EVENTS_MAX {
        account.meter_events.pop_front();
    }
    account.meter_events.push_back(MeterEvent {
        meter: id.to_owned(),
        customer,
        value: value.parse().unwrap_or_default(),
        timestamp,
    });
}

/// The data of an event about events that did not count.
fn reason(code: &str, message: &str) -> Value {
    let kind = json!({
        "code": code,
        "error_count": 1,
        "sample_errors": [{ "error_message": message }],
    });
    json!({
        "developer_message_summary": "There is 1 invalid event",
        "reason": { "error_count": 1, "error_types": [kind] },
    })
}
