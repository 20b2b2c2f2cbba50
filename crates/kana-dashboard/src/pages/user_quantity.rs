//! How many of a package a subscription is for: shown, and changed.

use askama::Template;
use axum::response::Response;
use kana_core::decide::UpdateSubscription;
use kana_core::id::UserId;
use kana_service::no_update;

use super::user_changes::{find, read_quantity};
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{Filled, Form};
use crate::frame::{Frame, Place};
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/user/quantity", page),
        post("/dashboard/{environment}/user/quantity", change),
    ]
}

#[derive(Template)]
#[template(path = "user_quantity.html")]
struct QuantityPage {
    frame: Frame,
    form: Filled,
    action: Address,
    cancel: Address,
}

async fn page(asked: Asked<Editor>) -> Result<Response, Problem> {
    show(&asked, None).await
}

/// Shows the form as it was sent, or else with the quantity as it is.
async fn show(asked: &Asked<Editor>, sent: Option<Filled>) -> Result<Response, Problem> {
    let (catalog, user, subscription) = find(asked).await?;
    let cancel = of_user(asked, &user)?;
    if subscription.ended_at.is_some() {
        return Err(Problem::Elsewhere(cancel));
    }
    let package = catalog
        .package(&subscription.package)
        .map_or(subscription.package.as_str(), |package| package.name.as_str());
    let quantity = subscription.quantities.current().get().to_string();
    let form = sent.unwrap_or_else(|| Form::with([("quantity", quantity)]).into());
    let status = form.status();
    let frame = asked.frame(format!("Quantity of {package}"), Place::Users).await?;
    let page = QuantityPage {
        frame: frame.under(cancel.clone(), user.as_str()),
        form,
        action: asked
            .address("/user/quantity")?
            .with("id", user.as_str())
            .with("subscription", &subscription.id.to_string()),
        cancel,
    };
    html(status, &page)
}

async fn change(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (_, user, subscription) = find(&asked).await?;
    let filled = match read_quantity(form.text("quantity")) {
        Err(problem) => Filled::with_problems(form, vec![problem]),
        Ok(quantity) => {
            let environment = &asked.entrance.environment;
            let id = subscription.id.to_string();
            let changes = UpdateSubscription { quantity: Some(quantity), ..no_update() };
            match environment.update_subscription(&id, changes).await {
                Ok(_) => {
                    let address = of_user(&asked, &user)?;
                    return Ok(see_other(&address.done(Done::SubscriptionChanged)));
                }
                Err(error) => Filled::refused(form, error, |_| Some("quantity"))?,
            }
        }
    };
    show(&asked, Some(filled)).await
}

fn of_user(asked: &Asked<Editor>, user: &UserId) -> Result<Address, Problem> {
    Ok(asked.address("/user")?.with("id", user.as_str()))
}
