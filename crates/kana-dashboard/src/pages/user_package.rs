//! Changing a subscription to one to another package.

use std::borrow::Cow;

use askama::Template;
use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::decide::ChangePackage;
use kana_core::id::UserId;
use kana_core::subscription::SubscriptionStatus;
use kana_service::to_change_package;

use super::ahead::Ahead;
use super::suggestions::{self, Suggestion};
use super::user_changes::{find, read_quantity};
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/user/package", page),
        post("/dashboard/{environment}/user/package", change),
    ]
}

#[derive(Template)]
#[template(path = "user_package.html")]
struct PackagePage {
    frame: Frame,
    form: Filled,
    packages: Vec<Suggestion>,
    action: Address,
    cancel: Address,
}

async fn page(asked: Asked<Editor>) -> Result<Response, Problem> {
    show(&asked, Filled::default()).await
}

async fn show(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let (catalog, user, subscription) = find(asked).await?;
    let cancel = of_user(asked, &user)?;
    let is_ahead = subscription.status == SubscriptionStatus::Incomplete;
    if subscription.ended_at.is_some() || is_ahead {
        return Err(Problem::Elsewhere(cancel));
    }
    let package = catalog
        .package(&subscription.package)
        .map_or(subscription.package.as_str(), |package| package.name.as_str());
    let status = form.status();
    let frame = asked.frame(format!("From {package} to another package"), Place::Users).await?;
    let page = PackagePage {
        frame: frame.under(cancel.clone(), user.as_str()),
        form: form.labelled(labels),
        packages: suggestions::published_packages(&catalog),
        action: asked
            .address("/user/package")?
            .with("id", user.as_str())
            .with("subscription", &subscription.id.to_string()),
        cancel,
    };
    html(status, &page)
}

async fn change(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (catalog, user, subscription) = find(&asked).await?;
    let filled = match read(&catalog, &form) {
        Err(problems) => Filled::with_problems(form, problems),
        Ok(change) => {
            let environment = &asked.entrance.environment;
            match environment.change_package(&subscription.id.to_string(), change).await {
                Ok(_) => {
                    let address = of_user(&asked, &user)?;
                    return Ok(see_other(&address.done(Done::SubscriptionChanged)));
                }
                Err(error) => Filled::refused(form, error, field_names)?,
            }
        }
    };
    show(&asked, filled).await
}

fn read(catalog: &Catalog, form: &Form) -> Result<ChangePackage, Vec<FieldProblem>> {
    let package = suggestions::published_package(catalog, form.text("package"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, field_names));
    let when = Ahead::read(form, ("when", "at"), |at| !at.is_empty());
    let quantity = match form.text("quantity").trim() {
        "" => Ok(None),
        text => read_quantity(text).map(Some),
    };
    let carry_usage = form.is("carry", "1");
    let is_ahead = matches!(when, Ok(Ahead::At(_) | Ahead::EndOf(_)));
    let carried = (carry_usage && is_ahead)
        .then(|| FieldProblem::of("carry", "Can be carried over only if the package changes now."));
    match (package, when, quantity) {
        (Ok(package), Ok(when), Ok(quantity)) if carried.is_none() => {
            let (at, at_end_of) = match when {
                Ahead::Unsaid => (None, None),
                Ahead::At(at) => (Some(at), None),
                Ahead::EndOf(period) => (None, Some(period)),
            };
            Ok(ChangePackage { at, at_end_of, carry_usage, quantity, ..to_change_package(package) })
        }
        (package, when, quantity) => {
            let problems = [package.err(), when.err(), carried, quantity.err()];
            Err(problems.into_iter().flatten().collect())
        }
    }
}

fn field_names(field: &str) -> Option<&'static str> {
    match field {
        "package" => Some("package"),
        "at" => Some("at"),
        "atEndOf" => Some("when"),
        "quantity" => Some("quantity"),
        _ => None,
    }
}

fn labels(field: &str) -> Option<Cow<'static, str>> {
    let label = match field {
        "package" => "Package",
        "when" => "When",
        "at" => "Time of the change",
        "carry" => "Usage",
        "quantity" => "Quantity",
        _ => return None,
    };
    Some(label.into())
}

fn of_user(asked: &Asked<Editor>, user: &UserId) -> Result<Address, Problem> {
    Ok(asked.address("/user")?.with("id", user.as_str()))
}
