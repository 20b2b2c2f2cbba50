use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::products;
use crate::table::{created_in, only_filters, page};

const INTERVALS: [&str; 4] = ["day", "week", "month", "year"];
const PARAMS: [&str; 17] = [
    "active",
    "billing_scheme",
    "currency",
    "custom_unit_amount",
    "lookup_key",
    "metadata",
    "nickname",
    "product",
    "product_data",
    "recurring",
    "tax_behavior",
    "tiers",
    "tiers_mode",
    "transfer_lookup_key",
    "transform_quantity",
    "unit_amount",
    "unit_amount_decimal",
];

pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&PARAMS)?;
    let tiered = params.word("billing_scheme", &["per_unit", "tiered"])? == Some("tiered");
    let (unit_amount, decimal) = unit_amount(params, tiered)?;
    let recurring = params
        .nested("recurring")?
        .map(|recurring| read_recurring(account, &recurring))
        .transpose()?;
    let tiers = if tiered { read_tiers(params)? } else { Value::Null };
    let mut price = json!({
        "id": random_id("price_"),
        "object": "price",
        "active": params.boolean("active")?.unwrap_or(true),
        "billing_scheme": if tiered { "tiered" } else { "per_unit" },
        "created": account.now,
        "currency": currency(params)?,
        "custom_unit_amount": custom_unit_amount(params)?,
        "livemode": account.livemode,
        "lookup_key": params.text("lookup_key")?,
        "metadata": params.merge_metadata(&json!({}))?,
        "nickname": params.text("nickname")?,
        "product": null,
        "recurring": recurring,
        "tax_behavior": params.text("tax_behavior")?.unwrap_or("unspecified"),
        "tiers_mode": params.word("tiers_mode", &["graduated", "volume"])?.filter(|_| tiered),
        "transform_quantity": transform_quantity(params)?,
        "type": if recurring.is_some() { "recurring" } else { "one_time" },
        "unit_amount": unit_amount,
        "unit_amount_decimal": decimal,
    });
    // Last, since it may create the product.
    price["product"] = product(account, params)?.into();
    if tiered {
        account.tiers.insert(price["id"].as_str().unwrap_or_default().to_owned(), tiers);
    }
    account.prices.put(price.clone());
    account.emit("price.created", &price);
    Ok(price)
}

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    account.prices.get(id).cloned().ok_or_else(|| ApiError::no_such("price", id))
}

pub(crate) fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&["active", "lookup_key", "metadata", "nickname"])?;
    let before = retrieve(account, id)?;
    let mut price = before.clone();
    params.copy_texts(&["lookup_key", "nickname"], &mut price)?;
    if let Some(active) = params.boolean("active")? {
        price["active"] = active.into();
    }
    price["metadata"] = params.merge_metadata(&price["metadata"])?;
    account.prices.put(price.clone());
    account.emit_update("price.updated", &before, &price);
    Ok(price)
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    let filters = ["active", "created", "currency", "lookup_keys", "product", "type", "recurring"];
    only_filters(params, &filters)?;
    let active = params.boolean("active")?;
    let keys = params.texts("lookup_keys")?;
    let recurring = params.nested("recurring")?.unwrap_or_default();
    let rows = account.prices.newest_first(|price| {
        let is = |name: &str, params: &Params, object: &Value| -> Result<bool, ApiError> {
            Ok(params.text(name)?.is_none_or(|wanted| object[name] == wanted))
        };
        Ok(active.is_none_or(|active| price["active"] == active)
            && is("currency", params, price)?
            && is("product", params, price)?
            && is("type", params, price)?
            && is("interval", &recurring, &price["recurring"])?
            && is("meter", &recurring, &price["recurring"])?
            && is("usage_type", &recurring, &price["recurring"])?
            && (keys.is_empty() || keys.iter().any(|key| price["lookup_key"] == key.as_str()))
            && created_in(params, price)?)
    })?;
    page(&rows, params, "/v1/prices", "price")
}

/// The product that the price is of: an existing one, or a new one of `product_data`.
fn product(account: &mut Account, params: &Params) -> Result<String, ApiError> {
    if let Some(data) = params.nested("product_data")? {
        data.required("name")?;
        let created = products::create(account, &data)?;
        return Ok(created["id"].as_str().unwrap_or_default().to_owned());
    }
    let id = params.required("product")?;
    match account.products.get(id) {
        Some(_) => Ok(id.to_owned()),
        None => Err(ApiError::no_such_named("product", "product", id)),
    }
}

fn currency(params: &Params) -> Result<String, ApiError> {
    let currency = params.required("currency")?.to_ascii_lowercase();
    if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(currency);
    }
    Err(ApiError::invalid("currency", None, format!("Invalid currency: {currency}.")))
}

/// The amount as a whole number, which is null for a fraction, and as a decimal number.
fn unit_amount(params: &Params, tiered: bool) -> Result<(Option<i64>, Option<String>), ApiError> {
    let whole = params.integer("unit_amount")?.map(|amount| amount.to_string());
    let decimal = params.text("unit_amount_decimal")?.map(str::to_owned);
    if whole.is_some() && decimal.is_some() {
        let message =
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.";
        return Err(ApiError::invalid("unit_amount", None, message));
    }
    match whole.or(decimal) {
        Some(amount) if is_decimal(&amount) => Ok((amount.parse().ok(), Some(amount))),
        Some(amount) => {
            let message = format!("Invalid amount: {amount}");
            Err(ApiError::invalid("unit_amount", None, message))
        }
        None if tiered || params.has("custom_unit_amount") => Ok((None, None)),
        None => Err(params.missing("unit_amount")),
    }
}

/// Whether this is a number from 0 with at most 12 decimals.
fn is_decimal(amount: &str) -> bool {
    let (whole, decimals) = amount.split_once('.').unwrap_or((amount, "0"));
    let is_digits = |text: &str| {
        (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    is_digits(whole) && is_digits(decimals)
}

fn read_recurring(account: &Account, recurring: &Params) -> Result<Value, ApiError> {
    recurring.only(&["interval", "interval_count", "meter", "usage_type", "trial_period_days"])?;
    let interval =
        recurring.word("interval", &INTERVALS)?.ok_or_else(|| recurring.missing("interval"))?;
    let meter = recurring.text("meter")?;
    if let Some(id) = meter.filter(|id| account.meters.get(id).is_none()) {
        return Err(ApiError::no_such_named(&recurring.full_name("meter"), "billing meter", id));
    }
    let count = recurring.integer("interval_count")?.unwrap_or(1);
    if !(1..=1095).contains(&count) {
        let name = recurring.full_name("interval_count");
        return Err(ApiError::invalid(&name, None, format!("Invalid interval_count: {count}")));
    }
    Ok(json!({
        "interval": interval,
        "interval_count": count,
        "meter": meter,
        "trial_period_days": recurring.integer("trial_period_days")?,
        "usage_type": recurring.word("usage_type", &["licensed", "metered"])?.unwrap_or("licensed"),
    }))
}

fn read_tiers(params: &Params) -> Result<Value, ApiError> {
    if params.text("tiers_mode")?.is_none() {
        return Err(params.missing("tiers_mode"));
    }
    let mut tiers = Vec::new();
    for tier in params.objects("tiers")? {
        tier.only(&["up_to", "unit_amount", "unit_amount_decimal", "flat_amount"])?;
        let up_to = match tier.required("up_to")? {
            "inf" => None,
            _ => tier.integer("up_to")?,
        };
        let (unit_amount, decimal) = unit_amount(&tier, true)?;
        tiers.push(json!({
            "flat_amount": tier.integer("flat_amount")?,
            "flat_amount_decimal": tier.integer("flat_amount")?.map(|amount| amount.to_string()),
            "unit_amount": unit_amount,
            "unit_amount_decimal": decimal,
            "up_to": up_to,
        }));
    }
    if tiers.last().is_none_or(|last| !last["up_to"].is_null()) {
        return Err(ApiError::invalid("tiers", None, "The last of the tiers must have up_to=inf."));
    }
    Ok(tiers.into())
}

fn custom_unit_amount(params: &Params) -> Result<Value, ApiError> {
    let Some(custom) = params.nested("custom_unit_amount")? else { return Ok(Value::Null) };
    custom.only(&["enabled", "minimum", "maximum", "preset"])?;
    if custom.boolean("enabled")? != Some(true) {
        return Ok(Value::Null);
    }
    Ok(json!({
        "maximum": custom.integer("maximum")?,
        "minimum": custom.integer("minimum")?,
        "preset": custom.integer("preset")?,
    }))
}

fn transform_quantity(params: &Params) -> Result<Value, ApiError> {
    let Some(transform) = params.nested("transform_quantity")? else { return Ok(Value::Null) };
    transform.only(&["divide_by", "round"])?;
    Ok(json!({
        "divide_by": transform.integer("divide_by")?,
        "round": transform.word("round", &["up", "down"])?,
    }))
}
