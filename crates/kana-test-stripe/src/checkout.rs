use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::table::{created_in, only_filters, page};

const MODES: [&str; 2] = ["payment", "subscription"];
const MINUTE_SECONDS: i64 = 60;
/// For how long a session can be paid, if nothing else is said.
const OPEN_SECONDS: i64 = 24 * 60 * MINUTE_SECONDS;
const OPEN_SECONDS_MIN: i64 = 30 * MINUTE_SECONDS;
const CLIENT_REFERENCE_LENGTH_MAX: usize = 200;
const LINES_MAX: usize = 20;

pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&[
        "cancel_url",
        "client_reference_id",
        "customer",
        "customer_creation",
        "customer_email",
        "expires_at",
        "line_items",
        "metadata",
        "mode",
        "payment_intent_data",
        "subscription_data",
        "success_url",
    ])?;
    let mode = params.word("mode", &MODES)?.ok_or_else(|| params.missing("mode"))?;
    let lines = lines(account, params, mode)?;
    let customer = customer(account, params)?;
    let now = account.now;
    let expires_at = params.integer("expires_at")?.unwrap_or(now + OPEN_SECONDS);
    if !(now + OPEN_SECONDS_MIN..=now + OPEN_SECONDS).contains(&expires_at) {
        let message = "The expiry must be from 30 minutes to 24 hours from now.";
        return Err(ApiError::invalid("expires_at", None, message));
    }
    let reference = params.text("client_reference_id")?;
    if reference.is_some_and(|reference| reference.len() > CLIENT_REFERENCE_LENGTH_MAX) {
        let message = format!("Must be at most {CLIENT_REFERENCE_LENGTH_MAX} characters.");
        return Err(ApiError::invalid("client_reference_id", None, message));
    }
    let id = random_id(if account.livemode { "cs_live_" } else { "cs_test_" });
    let total: i64 = lines.iter().filter_map(|line| line["amount_total"].as_i64()).sum();
    let session = json!({
        "id": id,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": url(params, "cancel_url")?,
        "client_reference_id": reference,
        "created": now,
        "currency": lines[0]["currency"],
        "customer": customer,
        "customer_details": null,
        "customer_email": params.text("customer_email")?,
        "expires_at": expires_at,
        "livemode": account.livemode,
        "metadata": params.merge_metadata(&json!({}))?,
        "mode": mode,
        "payment_intent": null,
        "payment_status": "unpaid",
        "status": "open",
        "subscription": null,
        "success_url": url(params, "success_url")?.ok_or_else(|| params.missing("success_url"))?,
        "url": format!("{}/pay/{id}", account.base),
    });
    let data = params.nested("subscription_data")?.unwrap_or_default();
    data.only(&["description", "metadata", "trial_period_days"])?;
    account.session_lines.insert(id.clone(), (lines, data.json()));
    account.sessions.put(session.clone());
    Ok(session)
}

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    let session = account.sessions.get(id).map(|session| shown(account, session));
    session.ok_or_else(|| ApiError::no_such("checkout.session", id))
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["created", "customer", "status", "subscription"])?;
    let filters = ["customer", "status", "subscription"];
    let rows = account.sessions.newest_first(|session| {
        let session = shown(account, session);
        let mut is = created_in(params, &session)?;
        for name in filters {
            is &= params.text(name)?.is_none_or(|wanted| session[name] == wanted);
        }
        Ok(is)
    })?;
    let rows: Vec<Value> = rows.iter().map(|session| shown(account, session)).collect();
    page(&rows, params, "/v1/checkout/sessions", "checkout.session")
}

pub(crate) fn line_items(account: &Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &[])?;
    retrieve(account, id)?;
    let lines = account.session_lines.get(id).map_or(&[][..], |(lines, _)| lines);
    page(lines, params, &format!("/v1/checkout/sessions/{id}/line_items"), "item")
}

pub(crate) fn expire(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&[])?;
    let mut session = retrieve(account, id)?;
    if session["status"] != "open" {
        let message = "Only Checkout Sessions with a status of open can be expired.";
        return Err(ApiError::invalid_request(message));
    }
    session["status"] = "expired".into();
    session["expires_at"] = account.now.into();
    session["url"] = Value::Null;
    account.sessions.put(session.clone());
    account.emit("checkout.session.expired", &session);
    Ok(session)
}

/// What a session sells, as the answer has it where it is expanded: all of it.
pub(crate) fn shown_lines(account: &Account, session: &Value) -> Value {
    let id = session["id"].as_str().unwrap_or_default();
    let lines = account.session_lines.get(id).map_or(&[][..], |(lines, _)| lines);
    let url = format!("/v1/checkout/sessions/{id}/line_items");
    json!({ "object": "list", "data": lines, "has_more": false, "url": url })
}

/// A session as it is now: one whose time is over has expired.
fn shown(account: &Account, session: &Value) -> Value {
    let mut session = session.clone();
    let is_over = session["expires_at"].as_i64().is_some_and(|at| at <= account.now);
    if session["status"] == "open" && is_over {
        session["status"] = "expired".into();
        session["url"] = Value::Null;
    }
    session
}

fn customer(account: &Account, params: &Params) -> Result<Option<String>, ApiError> {
    let Some(id) = params.text("customer")? else { return Ok(None) };
    if params.has("customer_email") {
        let message = "You may only specify one of these parameters: customer, customer_email.";
        return Err(ApiError::invalid("customer", None, message));
    }
    match account.customers.get(id) {
        Some(customer) if customer["deleted"] != true => Ok(Some(id.to_owned())),
        _ => Err(ApiError::no_such_named("customer", "customer", id)),
    }
}

fn url(params: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let Some(url) = params.text(name)? else { return Ok(None) };
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(Some(url.to_owned()));
    }
    Err(ApiError::invalid(name, Some("url_invalid"), "Not a valid URL"))
}

/// What is sold, of one currency and, where it is paid again and again, of one interval.
fn lines(account: &Account, params: &Params, mode: &str) -> Result<Vec<Value>, ApiError> {
    let given = params.objects("line_items")?;
    let lines: Result<Vec<Value>, _> = given.iter().map(|line| read_line(account, line)).collect();
    let lines = lines?;
    let Some(first) = lines.first() else { return Err(params.missing("line_items")) };
    let recurring: Vec<&Value> = lines
        .iter()
        .map(|line| &line["price"]["recurring"])
        .filter(|recurring| !recurring.is_null())
        .collect();
    let wrong = |message: &str| Err(ApiError::invalid("line_items", None, message));
    if lines.len() > LINES_MAX {
        return wrong("There can be at most 20 line items.");
    }
    if lines.iter().any(|line| line["currency"] != first["currency"]) {
        return wrong("All prices on a Checkout Session must have the same currency.");
    }
    if mode == "payment" && !recurring.is_empty() {
        return wrong("You cannot use recurring prices in payment mode.");
    }
    if mode == "subscription" && recurring.is_empty() {
        return wrong("You must provide at least one recurring price in subscription mode.");
    }
    let of_first = |name: &str| recurring.first().map(|first| &first[name]);
    let same = |name: &str| recurring.iter().all(|one| Some(&one[name]) == of_first(name));
    if !same("interval") || !same("interval_count") {
        return wrong("All recurring prices must have the same interval.");
    }
    Ok(lines)
}

fn read_line(account: &Account, line: &Params) -> Result<Value, ApiError> {
    line.only(&["adjustable_quantity", "price", "quantity"])?;
    let (id, name) = (line.required("price")?, line.full_name("price"));
    let price =
        account.prices.get(id).ok_or_else(|| ApiError::no_such_named(&name, "price", id))?;
    if price["active"] != true {
        let message = "The price specified is inactive. This field only accepts active prices.";
        return Err(ApiError::invalid(&name, None, message));
    }
    let is_metered = price["recurring"]["usage_type"] == "metered";
    let quantity = line.integer("quantity")?;
    let of_quantity = line.full_name("quantity");
    if is_metered && quantity.is_some() {
        let message = "Quantity should not be specified where usage_type is `metered`.";
        return Err(ApiError::invalid(&of_quantity, None, message));
    }
    if !is_metered && quantity.is_none_or(|quantity| quantity < 1) {
        let message = "Quantity is required. Add `quantity` to the line item.";
        return Err(ApiError::invalid(&of_quantity, None, message));
    }
    let product = price["product"].as_str().and_then(|product| account.products.get(product));
    let amount = price["unit_amount"].as_i64().unwrap_or(0).saturating_mul(quantity.unwrap_or(0));
    Ok(json!({
        "id": random_id("li_"),
        "object": "item",
        "amount_subtotal": amount,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product.map_or(&Value::Null, |product| &product["name"]),
        "price": price,
        "quantity": quantity,
    }))
}
