//! The page on which a customer pays for a checkout session.

use serde_json::{Value, json};

use crate::account::{Account, random_id};
use crate::checkout;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;
use crate::state::State;
use crate::{customers, subscriptions};

/// Answers `/pay/{id}`: the page, or, sent by it, the payment.
pub(crate) fn answer(state: &mut State, method: &str, id: &str, form: &[u8]) -> Reply {
    let livemode = id.starts_with("cs_live_");
    let now = state.clock.now();
    let account = &mut state.mode(livemode).account;
    account.now = now;
    account.cause = (None, None);
    let Ok(session) = checkout::retrieve(account, id) else {
        return page(404, "Nothing to pay here", "<p>There is no such checkout session.</p>");
    };
    if session["status"] != "open" {
        let status = session["status"].as_str().unwrap_or_default();
        return page(200, "Nothing to pay here", &format!("<p>The session is {status}.</p>"));
    }
    if method != "POST" {
        return page(200, "Pay", &ask(account, &session, ""));
    }
    let paid = Params::decode(form).and_then(|params| pay(account, session.clone(), &params));
    let reply = match paid {
        Ok(url) => Reply::see_other(&url),
        Err(error) => page(400, "Pay", &ask(account, &session, &error.message)),
    };
    state.hand_over_events(livemode);
    reply
}

/// What is sold, and the form that pays.
fn ask(account: &Account, session: &Value, problem: &str) -> String {
    let id = session["id"].as_str().unwrap_or_default();
    let lines = account.session_lines.get(id).map_or(&[][..], |(lines, _)| lines);
    let items: String = lines
        .iter()
        .map(|line| {
            let name = escaped(line["description"].as_str().unwrap_or_default());
            format!("<li>{name}, {} × {}</li>", line["amount_total"], line["quantity"])
        })
        .collect();
    let currency = session["currency"].as_str().unwrap_or_default();
    let problem = match problem {
        "" => String::new(),
        problem => format!("<p role=\"alert\">{}</p>", escaped(problem)),
    };
    let email = match session["customer"].as_str() {
        Some(_) => String::new(),
        None => format!(
            "<p><label>Email <input name=\"email\" type=\"email\" value=\"{}\" required></label></p>",
            escaped(session["customer_email"].as_str().unwrap_or_default())
        ),
    };
    format!(
        "{problem}<ul>{items}</ul><p>{} {currency} in the smallest unit. No money moves.</p>\
         <form method=\"post\">{email}<p><label><input type=\"checkbox\" name=\"later\" value=\"true\"> \
         The money comes later</label></p><p><button>Pay</button></p></form>",
        session["amount_total"]
    )
}

/// Pays, and answers where the customer goes next.
fn pay(account: &mut Account, mut session: Value, params: &Params) -> Result<String, ApiError> {
    params.only(&["email", "later"])?;
    let customer = match session["customer"].as_str() {
        Some(customer) => customer.to_owned(),
        None => {
            let email = params.required("email")?;
            let created = customers::create(account, &form(&json!({ "email": email }))?)?;
            created["id"].as_str().unwrap_or_default().to_owned()
        }
    };
    let is_later = params.boolean("later")? == Some(true);
    let id = session["id"].as_str().unwrap_or_default().to_owned();
    if session["mode"] == "subscription" {
        session["subscription"] = subscribe(account, &id, &customer, is_later)?.into();
    } else {
        session["payment_intent"] = random_id("pi_").into();
    }
    let email = account.customers.get(&customer).map(|customer| customer["email"].clone());
    session["customer"] = customer.into();
    session["customer_details"] = json!({ "email": email, "name": null });
    session["status"] = "complete".into();
    session["payment_status"] = if is_later { "unpaid" } else { "paid" }.into();
    session["url"] = Value::Null;
    account.sessions.put(session.clone());
    account.emit("checkout.session.completed", &session);
    let url = session["success_url"].as_str().unwrap_or_default();
    Ok(url.replace("{CHECKOUT_SESSION_ID}", &id))
}

/// Begins the subscription of a session.
fn subscribe(
    account: &mut Account,
    session: &str,
    customer: &str,
    is_later: bool,
) -> Result<String, ApiError> {
    let (lines, data) = account.session_lines.get(session).cloned().unwrap_or_default();
    let recurring = lines.iter().filter(|line| !line["price"]["recurring"].is_null());
    let items = recurring.map(|line| match line["quantity"].as_i64() {
        Some(quantity) => json!({ "price": line["price"]["id"], "quantity": quantity }),
        None => json!({ "price": line["price"]["id"] }),
    });
    let mut asked = data;
    asked["customer"] = customer.into();
    asked["items"] = items.collect::<Vec<_>>().into();
    if is_later {
        asked["payment_behavior"] = "default_incomplete".into();
    }
    let subscription = subscriptions::create(account, &form(&asked)?)?;
    Ok(subscription["id"].as_str().unwrap_or_default().to_owned())
}

/// The money that was to come later has come, or never will.
pub(crate) fn settle(account: &mut Account, id: &str, has_come: bool) -> Result<Value, ApiError> {
    let mut session = checkout::retrieve(account, id)?;
    if session["status"] != "complete" || session["payment_status"] != "unpaid" {
        return Err(ApiError::invalid_request("No money is to come for this session."));
    }
    if let Some(subscription) = session["subscription"].as_str().map(str::to_owned) {
        let status = if has_come { "active" } else { "incomplete_expired" };
        subscriptions::set_status(account, &subscription, &form(&json!({ "status": status }))?)?;
    }
    let kind = if has_come {
        session["payment_status"] = "paid".into();
        "checkout.session.async_payment_succeeded"
    } else {
        "checkout.session.async_payment_failed"
    };
    account.sessions.put(session.clone());
    account.emit(kind, &session);
    Ok(session)
}

/// Parameters that say what `json` does, as a form has them.
fn form(json: &Value) -> Result<Params, ApiError> {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    append(&mut encoded, "", json);
    Params::decode(encoded.finish().as_bytes())
}

fn append(encoded: &mut form_urlencoded::Serializer<'_, String>, name: &str, value: &Value) {
    let nested = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}[{key}]"),
    };
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| append(encoded, &nested(key), value));
        }
        Value::Array(values) => {
            let values = values.iter().enumerate();
            values.for_each(|(n, value)| append(encoded, &nested(&n.to_string()), value));
        }
        Value::Null => {}
        Value::String(text) => drop(encoded.append_pair(name, text)),
        other => drop(encoded.append_pair(name, &other.to_string())),
    }
}

fn page(status: u16, title: &str, content: &str) -> Reply {
    Reply::page(
        status,
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
             <body><h1>{title}</h1>{content}</body></html>"
        ),
    )
}

fn escaped(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;")
}
