use std::collections::HashMap;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::faults::{Fault, FaultKind};
use crate::keys::Access;
use crate::params::Params;
use crate::pay;
use crate::state::State;
use crate::subscriptions;
use crate::webhook::{Delivery, webhook_url};

const DELIVERIES: [&str; 5] = ["in_order", "twice", "shuffled", "late", "never"];
const FAULTS: [&str; 7] =
    ["too_many_requests", "conflict", "server_error", "time_out", "cut", "unauthorized", "html"];

/// Answers a call of the control API, which the crate's documentation describes. `path` is what follows
/// `/_control/`.
pub(crate) fn answer(
    state: &mut State,
    method: &str,
    path: &str,
    form: &[u8],
) -> Result<Value, ApiError> {
    let params = &Params::decode(form)?;
    match (method, path.split('/').collect::<Vec<_>>().as_slice()) {
        ("POST", ["faults"]) => add_fault(state, params),
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            Ok(json!({}))
        }
        ("POST", ["clock"]) => {
            let seconds =
                params.integer("advance")?.and_then(|seconds| u32::try_from(seconds).ok());
            state.advance(seconds.ok_or_else(|| params.missing("advance"))?);
            Ok(json!({ "now": state.clock.now() }))
        }
        ("POST", ["webhook"]) => set_webhook(state, params),
        ("POST", ["webhook", "release"]) => Ok(json!({ "released": state.webhook.release() })),
        ("POST", ["keys"]) => add_key(state, params),
        ("POST", ["checkout_sessions", id]) => settle_session(state, id, params),
        ("POST", ["subscriptions", id]) => set_subscription_status(state, id, params),
        ("GET", ["requests"]) => {
            let method = params.text("method")?.unwrap_or_default();
            let path = params.text("path")?.unwrap_or_default();
            let busiest_second = state.log.busiest_second(method, path);
            Ok(json!({ "count": state.log.count(method, path), "busiest_second": busiest_second }))
        }
        _ => Err(ApiError::unknown_address(method, &format!("/_control/{path}"))),
    }
}

fn add_fault(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    params.only(&["kind", "method", "path", "times", "retry_after", "done", "should_retry"])?;
    let done = params.boolean("done")?.unwrap_or(false);
    let number = |name| -> Result<Option<u32>, ApiError> {
        let number = params.integer(name)?.map(u32::try_from).transpose();
        number.map_err(|_| ApiError::invalid(name, None, format!("Invalid {name}")))
    };
    let kind = match params.word("kind", &FAULTS)?.ok_or_else(|| params.missing("kind"))? {
        "too_many_requests" => FaultKind::TooManyRequests { retry_after: number("retry_after")? },
        "conflict" => FaultKind::Conflict,
        "server_error" => FaultKind::ServerError { done },
        "time_out" => FaultKind::TimeOut { done },
        "cut" => FaultKind::Cut { done },
        "unauthorized" => FaultKind::Unauthorized,
        _ => FaultKind::Html,
    };
    let fault = Fault {
        kind,
        method: params.text("method")?.map(str::to_owned),
        path: params.text("path")?.unwrap_or_default().to_owned(),
        times: number("times")?.unwrap_or(1),
        should_retry: params.boolean("should_retry")?,
    };
    if state.faults.add(fault) { Ok(json!({})) } else { Err(ApiError::too_many_requests()) }
}

fn set_webhook(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    params.only(&["url", "secret", "delivery"])?;
    let delivery = match params.word("delivery", &DELIVERIES)? {
        None => state.webhook.delivery,
        Some("in_order") => Delivery::InOrder,
        Some("twice") => Delivery::Twice,
        Some("shuffled") => Delivery::Shuffled,
        Some("late") => Delivery::Late,
        Some(_) => Delivery::Never,
    };
    if params.has("url") || params.has("secret") {
        let url = webhook_url(params.required("url")?)
            .map_err(|error| ApiError::invalid("url", None, error.to_string()))?;
        state.webhook.endpoint = Some((url, params.required("secret")?.to_owned()));
    }
    state.webhook.delivery = delivery;
    Ok(json!({}))
}

fn add_key(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    params.only(&["key", "permissions"])?;
    let key = params.required("key")?;
    let added = match params.nested("permissions")? {
        None => state.keys.add(key),
        Some(permissions) => {
            let json = permissions.json();
            let mut allowed = HashMap::new();
            for (resource, _) in json.as_object().into_iter().flatten() {
                let access = match permissions.word(resource, &["read", "write"])? {
                    Some("write") => Access::Write,
                    _ => Access::Read,
                };
                allowed.insert(resource.clone(), access);
            }
            state.keys.add_restricted(key, allowed)
        }
    };
    let message = "Not a key: it must begin with sk_test_, rk_test_, sk_live_ or rk_live_.";
    if added { Ok(json!({})) } else { Err(ApiError::invalid("key", None, message)) }
}

fn settle_session(state: &mut State, id: &str, params: &Params) -> Result<Value, ApiError> {
    let payment = params.word("payment", &["succeeded", "failed"])?;
    let has_come = payment.ok_or_else(|| params.missing("payment"))? == "succeeded";
    let livemode = id.starts_with("cs_live_");
    let now = state.clock.now();
    let account = &mut state.mode(livemode).account;
    account.now = now;
    account.cause = (None, None);
    let session = pay::settle(account, id, has_come);
    state.hand_over_events(livemode);
    session
}

fn set_subscription_status(
    state: &mut State,
    id: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let livemode = state.live.account.subscriptions.get(id).is_some();
    let now = state.clock.now();
    let account = &mut state.mode(livemode).account;
    account.now = now;
    account.cause = (None, None);
    let subscription = subscriptions::set_status(account, id, params);
    state.hand_over_events(livemode);
    subscription
}
