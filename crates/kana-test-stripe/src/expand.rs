use serde_json::Value;

use crate::account::Account;
use crate::checkout;
use crate::error::ApiError;

/// Steps of a path that are followed, after `data` of a list.
const DEPTH_MAX: usize = 4;

/// Replaces the ids at the paths of `expand` by the objects that they name.
pub(crate) fn expand(
    account: &Account,
    answer: &mut Value,
    paths: &[String],
) -> Result<(), ApiError> {
    for path in paths {
        let steps: Vec<&str> = path.split('.').collect();
        let depth = steps.iter().filter(|step| **step != "data").count();
        if depth > DEPTH_MAX {
            let message =
                format!("You cannot expand more than {DEPTH_MAX} levels of a property ({path}).");
            return Err(ApiError::invalid("expand", None, message));
        }
        if !expand_path(account, answer, &steps) {
            let message = format!("This property cannot be expanded ({path}).");
            return Err(ApiError::invalid("expand", None, message));
        }
    }
    Ok(())
}

/// Answers false if there is nothing at this path that can be expanded.
fn expand_path(account: &Account, value: &mut Value, steps: &[&str]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    if *step == "data" && value["object"] == "list" {
        let rows = value["data"].as_array_mut().into_iter().flatten();
        let mut expanded = true;
        for row in rows {
            expanded &= expand_path(account, row, rest);
        }
        return expanded;
    }
    if *step == "tiers" && value["object"] == "price" && rest.is_empty() {
        let tiers = value["id"].as_str().and_then(|id| account.tiers.get(id));
        value["tiers"] = tiers.cloned().unwrap_or_default();
        return true;
    }
    if *step == "line_items" && value["object"] == "checkout.session" {
        value["line_items"] = checkout::shown_lines(account, value);
    }
    let Some(field) = value.get_mut(*step) else { return false };
    if let Some(object) = field.as_str().map(|id| named(account, step, id)) {
        let Some(object) = object else { return false };
        *field = object.clone();
    }
    match field {
        Value::Null => true,
        Value::Object(_) => expand_path(account, field, rest),
        _ => false,
    }
}

/// The object that the field `name` names by its id.
fn named<'a>(account: &'a Account, name: &str, id: &str) -> Option<&'a Value> {
    match name {
        "customer" => account.customers.get(id),
        "meter" => account.meters.get(id),
        "subscription" => account.subscriptions.get(id),
        "product" => account.products.get(id),
        "default_price" | "price" => account.prices.get(id),
        _ => None,
    }
}
