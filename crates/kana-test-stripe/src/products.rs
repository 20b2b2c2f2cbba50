use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::error::ApiError;
use crate::params::Params;
use crate::table::{created_in, only_filters, page};

pub(crate) fn create(account: &mut Account, params: &Params) -> Result<Value, ApiError> {
    params.only(&["id", "name", "active", "description", "metadata", "unit_label"])?;
    params.required("name")?;
    let id = params.text("id")?.map_or_else(|| random_id("prod_"), str::to_owned);
    if account.products.get(&id).is_some() {
        let message = format!("Product already exists: {id}");
        return Err(ApiError::invalid("id", Some("resource_already_exists"), message));
    }
    let mut product = json!({
        "id": id,
        "object": "product",
        "active": true,
        "created": account.now,
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": account.livemode,
        "marketing_features": [],
        "metadata": {},
        "name": null,
        "type": "service",
        "unit_label": null,
        "updated": account.now,
        "url": null,
    });
    fill(&mut product, params)?;
    account.products.put(product.clone());
    account.emit("product.created", &product);
    Ok(product)
}

pub(crate) fn retrieve(account: &Account, id: &str) -> Result<Value, ApiError> {
    account.products.get(id).cloned().ok_or_else(|| ApiError::no_such("product", id))
}

pub(crate) fn update(account: &mut Account, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&["name", "active", "description", "metadata", "unit_label", "default_price"])?;
    let before = retrieve(account, id)?;
    let mut product = before.clone();
    fill(&mut product, params)?;
    if let Some(price) = params.text("default_price")? {
        if account.prices.get(price).is_none_or(|price| price["product"] != id) {
            return Err(ApiError::no_such_named("default_price", "price", price));
        }
        product["default_price"] = price.into();
    }
    if product != before {
        product["updated"] = account.now.into();
    }
    account.products.put(product.clone());
    account.emit_update("product.updated", &before, &product);
    Ok(product)
}

pub(crate) fn list(account: &Account, params: &Params) -> Result<Value, ApiError> {
    only_filters(params, &["active", "created", "ids"])?;
    let active = params.boolean("active")?;
    let ids = params.texts("ids")?;
    let rows = account.products.newest_first(|product| {
        let named = ids.is_empty() || ids.iter().any(|id| product["id"] == id.as_str());
        Ok(named
            && active.is_none_or(|active| product["active"] == active)
            && created_in(params, product)?)
    })?;
    page(&rows, params, "/v1/products", "product")
}

fn fill(product: &mut Value, params: &Params) -> Result<(), ApiError> {
    params.copy_texts(&["name", "description", "unit_label"], product)?;
    if let Some(active) = params.boolean("active")? {
        product["active"] = active.into();
    }
    product["metadata"] = params.merge_metadata(&product["metadata"])?;
    Ok(())
}
