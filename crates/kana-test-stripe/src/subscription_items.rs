use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::table::{only_filters, page};

/// The largest quantity of an item.
const QUANTITY_MAX: i64 = 999_999_999;

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    let item = account.subscription_items.get(id);
    item.cloned().ok_or_else(|| ApiError::no_such("subscription_item", id))
}

/// The items of one subscription, the oldest first.
pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["subscription"])?;
    let id = params.required("subscription")?;
    if account.subscriptions.get(id).is_none() {
        return Err(ApiError::no_such_named("subscription", "subscription", id));
    }
    page(&items_of(account, id), params, "/v1/subscription_items", "subscription_item")
}

/// The items of a subscription, the oldest first.
pub(crate) fn items_of(account: &Account, subscription: &str) -> Vec<Value> {
    let rows = account.subscription_items.rows();
    rows.filter(|item| item["subscription"] == subscription).cloned().collect()
}

/// A new item, which is not stored yet.
pub(crate) fn new_item(
    account: &Account,
    subscription: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let mut item = json!({
        "id": random_id("si_"),
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": account.now,
        "current_period_end": null,
        "current_period_start": null,
        "discounts": [],
        "metadata": {},
        "price": null,
        "quantity": 1,
        "subscription": subscription,
        "tax_rates": [],
    });
    params.required("price")?;
    change_item(account, &mut item, params)?;
    Ok(item)
}

/// Gives an item the price, quantity and metadata of `params`.
pub(crate) fn change_item(
    account: &Account,
    item: &mut Value,
    params: &Params,
) -> Result<(), ApiError> {
    if params.has("price") {
        item["price"] = recurring_price(account, params)?;
    }
    let quantity = params.integer("quantity")?;
    let name = params.full_name("quantity");
    if item["price"]["recurring"]["usage_type"] == "metered" {
        if quantity.is_some() {
            let message = "Quantity should not be specified where usage_type is `metered`.";
            return Err(ApiError::invalid(&name, None, message));
        }
        if let Some(fields) = item.as_object_mut() {
            fields.shift_remove("quantity");
        }
    } else if let Some(quantity) = quantity {
        if !(0..=QUANTITY_MAX).contains(&quantity) {
            return Err(ApiError::invalid(
                &name,
                Some("parameter_invalid_integer"),
                "Invalid quantity.",
            ));
        }
        item["quantity"] = quantity.into();
    } else if item["quantity"].is_null() {
        item["quantity"] = 1.into();
    }
    item["metadata"] = params.merge_metadata(&item["metadata"])?;
    Ok(())
}

/// The price that `params` name, which must be active and recurring.
fn recurring_price(account: &Account, params: &Params) -> Result<Value, ApiError> {
    let id = params.required("price")?;
    let name = params.full_name("price");
    let price =
        account.prices.get(id).ok_or_else(|| ApiError::no_such_named(&name, "price", id))?;
    if price["recurring"].is_null() {
        let message = "This field only accepts prices with `type=recurring`.";
        return Err(ApiError::invalid(&name, None, message));
    }
    if price["active"] != true {
        let message = "The price specified is inactive. This field only accepts active prices.";
        return Err(ApiError::invalid(&name, None, message));
    }
    Ok(price.clone())
}
