use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::period::period_at;
use crate::subscription_items::{change_item, items_of, new_item};
use crate::table::{created_in, only_filters, page};

/// Items that a subscription is answered with. The rest is on the pages of its items.
const ITEMS_SHOWN: usize = 20;
const DAY_SECONDS: i64 = 24 * 60 * 60;
const TRIAL_DAYS_MAX: i64 = 730;
const STATUSES: [&str; 8] = [
    "active",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
];
/// What both creating and updating take.
const PARAMS: [&str; 14] = [
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "collection_method",
    "days_until_due",
    "default_payment_method",
    "description",
    "items",
    "metadata",
    "off_session",
    "payment_behavior",
    "proration_behavior",
    "trial_end",
    "trial_settings",
];

pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&[PARAMS.as_slice(), &["customer", "currency", "trial_period_days"]].concat())?;
    let customer = params.required("customer")?;
    if account.customers.get(customer).is_none_or(|customer| customer["deleted"] == true) {
        return Err(ApiError::no_such_named("customer", "customer", customer));
    }
    let id = random_id("sub_");
    let items: Result<Vec<_>, _> =
        params.objects("items")?.iter().map(|item| new_item(account, &id, item)).collect();
    let mut items = items?;
    let Some(first) = items.first() else { return Err(params.missing("items")) };
    let incomplete = params.text("payment_behavior")? == Some("default_incomplete");
    let mut subscription = json!({
        "id": id,
        "object": "subscription",
        "application": null,
        "billing_cycle_anchor": account.now,
        "cancel_at": null,
        "cancel_at_period_end": false,
        "canceled_at": null,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": "charge_automatically",
        "created": account.now,
        "currency": first["price"]["currency"],
        "customer": customer,
        "days_until_due": null,
        "default_payment_method": null,
        "description": null,
        "discounts": [],
        "ended_at": null,
        "latest_invoice": null,
        "livemode": account.livemode,
        "metadata": {},
        "pause_collection": null,
        "schedule": null,
        "start_date": account.now,
        "status": if incomplete { "incomplete" } else { "active" },
        "test_clock": null,
        "trial_end": null,
        "trial_start": null,
    });
    if let Some(days) = params.integer("trial_period_days")? {
        if params.has("trial_end") || !(0..=TRIAL_DAYS_MAX).contains(&days) {
            let message =
                format!("trial_period_days must be 0 to {TRIAL_DAYS_MAX}, without trial_end.");
            return Err(ApiError::invalid("trial_period_days", None, message));
        }
        start_trial(account.now, &mut subscription, account.now + days * DAY_SECONDS);
    }
    if let Some(anchor) = params.integer("billing_cycle_anchor")? {
        if anchor < account.now {
            let message = "Timestamp must not be in the past.";
            return Err(ApiError::invalid("billing_cycle_anchor", None, message));
        }
        subscription["billing_cycle_anchor"] = anchor.into();
    }
    fill(account, &mut subscription, params)?;
    set_periods(account.now, &subscription, &mut items);
    set_cancellation(account.now, &mut subscription, &items, params)?;
    store(account, &subscription, items);
    let shown = shown(account, &subscription);
    account.emit("customer.subscription.created", &shown);
    Ok(shown)
}

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    existing(account, id).map(|subscription| shown(account, &subscription))
}

pub(crate) fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&[PARAMS.as_slice(), &["pause_collection", "proration_date"]].concat())?;
    let mut subscription = existing(account, id)?;
    if has_ended(&subscription) {
        let message =
            "A canceled subscription can only update its cancellation_details and metadata.";
        params.only(&["metadata"]).map_err(|_| ApiError::invalid_request(message))?;
    }
    let before = shown(account, &subscription);
    let mut items = changed_items(account, id, params)?;
    if params.word("billing_cycle_anchor", &["now", "unchanged"])? == Some("now") {
        subscription["billing_cycle_anchor"] = account.now.into();
    }
    if params.text("pause_collection").is_ok_and(|text| text.is_some()) {
        subscription["pause_collection"] = Value::Null;
    }
    fill(account, &mut subscription, params)?;
    set_periods(account.now, &subscription, &mut items);
    set_cancellation(account.now, &mut subscription, &items, params)?;
    for item in items_of(account, id) {
        account.subscription_items.remove(item["id"].as_str().unwrap_or_default());
    }
    store(account, &subscription, items);
    let after = shown(account, &subscription);
    account.emit_update("customer.subscription.updated", &before, &after);
    Ok(after)
}

pub(crate) fn cancel(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&["invoice_now", "prorate", "cancellation_details"])?;
    let subscription = existing(account, id)?;
    if has_ended(&subscription) {
        return Err(ApiError::no_such("subscription", id));
    }
    Ok(end(account, subscription))
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["status", "customer", "price", "created"])?;
    let known = [STATUSES.as_slice(), &["all", "ended"]].concat();
    let status = params.word("status", &known)?;
    let customer = params.text("customer")?;
    let price = params.text("price")?;
    let rows = account.subscriptions.newest_first(|subscription| {
        let status = match status {
            None => subscription["status"] != "canceled",
            Some("all") => true,
            Some("ended") => has_ended(subscription),
            Some(status) => subscription["status"] == status,
        };
        let id = subscription["id"].as_str().unwrap_or_default();
        Ok(status
            && customer.is_none_or(|customer| subscription["customer"] == customer)
            && created_in(params, subscription)?
            && price.is_none_or(|id_of_price| {
                items_of(account, id).iter().any(|item| item["price"]["id"] == id_of_price)
            }))
    })?;
    let mut list = page(&rows, params, "/v1/subscriptions", "subscription")?;
    for subscription in list["data"].as_array_mut().into_iter().flatten() {
        *subscription = shown(account, subscription);
    }
    Ok(list)
}

/// Cancels what the customer has that has not ended.
pub(crate) fn cancel_all_of(account: &mut Account, customer: &str) {
    let running = account
        .subscriptions
        .rows()
        .filter(|subscription| subscription["customer"] == customer && !has_ended(subscription));
    for subscription in running.cloned().collect::<Vec<_>>() {
        end(account, subscription);
    }
}

/// Lets time pass: trials end, periods are renewed, and what was to end does.
pub(crate) fn pass_time(account: &mut Account) {
    let running = account.subscriptions.rows().filter(|one| !has_ended(one));
    for mut subscription in running.cloned().collect::<Vec<_>>() {
        let is_due = |name: &str| subscription[name].as_i64().is_some_and(|at| at <= account.now);
        if is_due("cancel_at") {
            end(account, subscription);
            continue;
        }
        let before = shown(account, &subscription);
        if subscription["status"] == "trialing" && is_due("trial_end") {
            subscription["status"] = "active".into();
        }
        let id = subscription["id"].as_str().unwrap_or_default();
        let mut items = items_of(account, id);
        set_periods(account.now, &subscription, &mut items);
        store(account, &subscription, items);
        let after = shown(account, &subscription);
        account.emit_update("customer.subscription.updated", &before, &after);
    }
}

/// Gives a subscription a status that only Stripe can bring about, such as `past_due`.
pub(crate) fn set_status(
    account: &mut Account,
    id: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let status = params.word("status", &STATUSES)?.ok_or_else(|| params.missing("status"))?;
    let mut subscription = existing(account, id)?;
    if status == "canceled" {
        return Ok(end(account, subscription));
    }
    let before = shown(account, &subscription);
    subscription["status"] = status.into();
    subscription["ended_at"] = (status == "incomplete_expired").then_some(account.now).into();
    account.subscriptions.put(subscription.clone());
    let after = shown(account, &subscription);
    account.emit_update("customer.subscription.updated", &before, &after);
    Ok(after)
}

fn existing(account: &Account, id: &str) -> Result<Value, ApiError> {
    account.subscriptions.get(id).cloned().ok_or_else(|| ApiError::no_such("subscription", id))
}

fn has_ended(subscription: &Value) -> bool {
    matches!(subscription["status"].as_str(), Some("canceled" | "incomplete_expired"))
}

fn end(account: &mut Account, mut subscription: Value) -> Value {
    subscription["status"] = "canceled".into();
    subscription["ended_at"] = account.now.into();
    subscription["canceled_at"] = account.now.into();
    subscription["cancellation_details"]["reason"] = "cancellation_requested".into();
    account.subscriptions.put(subscription.clone());
    let shown = shown(account, &subscription);
    account.emit("customer.subscription.deleted", &shown);
    shown
}

/// The items as they are once the parameter `items` is applied: items with an id are changed or, with
/// `deleted`, taken out, others are new.
fn changed_items(account: &Account, id: &str, params: &Params) -> Result<Vec<Value>, ApiError> {
    let mut items = items_of(account, id);
    for change in params.objects("items")? {
        let Some(item) = change.text("id")? else {
            items.push(new_item(account, id, &change)?);
            continue;
        };
        let Some(place) = items.iter().position(|existing| existing["id"] == item) else {
            return Err(ApiError::no_such_named(
                &change.full_name("id"),
                "subscription item",
                item,
            ));
        };
        if change.boolean("deleted")? == Some(true) {
            items.remove(place);
        } else {
            change_item(account, &mut items[place], &change)?;
        }
    }
    if items.is_empty() {
        return Err(ApiError::invalid(
            "items",
            None,
            "A subscription must have at least one item.",
        ));
    }
    Ok(items)
}

fn fill(account: &Account, subscription: &mut Value, params: &Params) -> Result<(), ApiError> {
    params.copy_texts(
        &["description", "default_payment_method", "collection_method"],
        subscription,
    )?;
    if let Some(days) = params.integer("days_until_due")? {
        subscription["days_until_due"] = days.into();
    }
    if let Ok(Some(pause)) = params.nested("pause_collection") {
        let behavior = pause.word("behavior", &["keep_as_draft", "mark_uncollectible", "void"])?;
        let resumes_at = pause.integer("resumes_at")?;
        subscription["pause_collection"] =
            json!({ "behavior": behavior, "resumes_at": resumes_at });
    }
    match params.text("trial_end")? {
        None | Some("") => {}
        Some("now") => start_trial(account.now, subscription, account.now),
        Some(_) => {
            let end = params.integer("trial_end")?.unwrap_or_default();
            if end <= account.now {
                let message = "Timestamp must be an integer Unix timestamp in the future.";
                return Err(ApiError::invalid("trial_end", None, message));
            }
            start_trial(account.now, subscription, end);
        }
    }
    subscription["metadata"] = params.merge_metadata(&subscription["metadata"])?;
    Ok(())
}

/// Lets the trial last until `end`, which ends it if that is now.
fn start_trial(now: i64, subscription: &mut Value, end: i64) {
    let is_trialing = subscription["status"] == "trialing";
    if end > now {
        subscription["status"] = "trialing".into();
        if !is_trialing {
            subscription["trial_start"] = now.into();
        }
    } else if is_trialing {
        subscription["status"] = "active".into();
    } else {
        return;
    }
    subscription["trial_end"] = end.into();
    subscription["billing_cycle_anchor"] = end.into();
}

/// Each item has the period of its own price that contains now.
fn set_periods(now: i64, subscription: &Value, items: &mut [Value]) {
    let anchor = subscription["billing_cycle_anchor"].as_i64().unwrap_or(now);
    if has_ended(subscription) {
        return;
    }
    for item in items {
        let (start, end) = period_at(anchor, now, &item["price"]["recurring"]);
        // A trial, and a period before the anchor, began earlier than now.
        let began = item["current_period_start"].as_i64().filter(|_| anchor > now);
        item["current_period_start"] = began.unwrap_or(start).into();
        item["current_period_end"] = end.into();
    }
}

fn set_cancellation(
    now: i64,
    subscription: &mut Value,
    items: &[Value],
    params: &Params,
) -> Result<(), ApiError> {
    let at_period_end = params.boolean("cancel_at_period_end")?;
    if params.has("cancel_at") && at_period_end == Some(true) {
        let message =
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.";
        return Err(ApiError::invalid("cancel_at", None, message));
    }
    if at_period_end.is_none() && !params.has("cancel_at") {
        return Ok(());
    }
    let period_end = items.iter().filter_map(|item| item["current_period_end"].as_i64()).max();
    let cancel_at =
        if at_period_end == Some(true) { period_end } else { params.integer("cancel_at")? };
    if cancel_at.is_some_and(|at| at <= now) {
        return Err(ApiError::invalid("cancel_at", None, "Timestamp must be in the future."));
    }
    subscription["cancel_at_period_end"] = (at_period_end == Some(true)).into();
    subscription["cancel_at"] = cancel_at.into();
    subscription["canceled_at"] = cancel_at.map(|_| now).into();
    Ok(())
}

fn store(account: &mut Account, subscription: &Value, items: Vec<Value>) {
    for item in items {
        account.subscription_items.put(item);
    }
    account.subscriptions.put(subscription.clone());
}

/// A subscription as it is answered, with the first of its items.
fn shown(account: &Account, subscription: &Value) -> Value {
    let mut shown = subscription.clone();
    let id = subscription["id"].as_str().unwrap_or_default();
    let items = items_of(account, id);
    shown["items"] = json!({
        "object": "list",
        "data": items.iter().take(ITEMS_SHOWN).collect::<Vec<_>>(),
        "has_more": items.len() > ITEMS_SHOWN,
        "total_count": items.len(),
        "url": format!("/v1/subscription_items?subscription={id}"),
    });
    shown
}
