use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::subscriptions;
use crate::table::{created_in, only_filters, page};

const TEXTS: [&str; 4] = ["email", "name", "description", "phone"];
const PARAMS: [&str; 7] =
    ["email", "name", "description", "phone", "metadata", "address", "preferred_locales"];

pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&PARAMS)?;
    let mut customer = json!({
        "id": random_id("cus_"),
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": account.now,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "email": null,
        "livemode": account.livemode,
        "metadata": {},
        "name": null,
        "phone": null,
        "preferred_locales": [],
    });
    fill(&mut customer, params)?;
    account.customers.put(customer.clone());
    account.emit("customer.created", &customer);
    Ok(customer)
}

/// Answers deleted customers as well, with `deleted` and little else.
pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    let customer = account.customers.get(id).cloned();
    customer.ok_or_else(|| ApiError::no_such("customer", id))
}

pub(crate) fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&PARAMS)?;
    let before = existing(account, id)?;
    let mut customer = before.clone();
    fill(&mut customer, params)?;
    account.customers.put(customer.clone());
    account.emit_update("customer.updated", &before, &customer);
    Ok(customer)
}

/// Deletes a customer and cancels its subscriptions.
pub(crate) fn delete(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&[])?;
    let customer = existing(account, id)?;
    subscriptions::cancel_all_of(account, id);
    let deleted = json!({ "id": id, "object": "customer", "deleted": true });
    account.customers.put(deleted.clone());
    account.emit("customer.deleted", &customer);
    Ok(deleted)
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["email", "created"])?;
    let email = params.text("email")?;
    let rows = account.customers.newest_first(|customer| {
        let wanted =
            customer["deleted"] != true && email.is_none_or(|email| customer["email"] == email);
        Ok(wanted && created_in(params, customer)?)
    })?;
    page(&rows, params, "/v1/customers", "customer")
}

/// The customer with this id that is not deleted.
fn existing(account: &Account, id: &str) -> Result<Value, ApiError> {
    let customer = account.customers.get(id).filter(|customer| customer["deleted"] != true);
    customer.cloned().ok_or_else(|| ApiError::no_such("customer", id))
}

fn fill(customer: &mut Value, params: &Params) -> Result<(), ApiError> {
    if let Some(email) =
        params.text("email")?.filter(|email| !email.is_empty() && !email.contains('@'))
    {
        let message = format!("Invalid email address: {email}");
        return Err(ApiError::invalid("email", Some("email_invalid"), message));
    }
    params.copy_texts(&TEXTS, customer)?;
    if let Some(address) = params.nested("address")? {
        customer["address"] = address.json();
    }
    if params.has("preferred_locales") {
        customer["preferred_locales"] = params.texts("preferred_locales")?.into();
    }
    customer["metadata"] = params.merge_metadata(&customer["metadata"])?;
    Ok(())
}
