//! An extra amount of one feature for one user: give it, and void it.

use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::decide::CreateGrant;
use kana_core::grant::GrantKey;
use kana_core::id::{FeatureId, GrantId, UserId};
use kana_core::metadata::Label;
use kana_core::refusal::InvalidValue;
use kana_core::{Refusal, Timestamp};
use kana_service::Error;

use super::confirm::ConfirmPage;
use super::suggestions;
use super::user::{Forms, show};
use super::user_changes::as_rfc_3339;
use super::user_form::read_id;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::Place;
use crate::number::{self, grouped};
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/dashboard/{environment}/user/grant", create),
        get("/dashboard/{environment}/user/void-grant", confirm_void),
        post("/dashboard/{environment}/user/void-grant", void),
    ]
}

async fn create(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let user = read_id(asked.query("id"))?;
    let catalog = environment.catalog().await?;
    let filled = match read(&user, &catalog, &form) {
        Err(problems) => Filled::with_problems(form, problems),
        Ok(command) => match environment.create_grant(command).await {
            Ok(_) => {
                let address = asked.address("/user")?.with("id", user.as_str());
                return Ok(see_other(&address.done(Done::GrantCreated).at_top()));
            }
            Err(Error::Refused(Refusal::IdConflict)) => return Err(Problem::SentBefore),
            Err(error) => Filled::refused(form, error, field_names)?,
        },
    };
    show(&asked, environment, &user, Forms { granting: filled, ..Forms::default() }).await
}

fn read(user: &UserId, catalog: &Catalog, form: &Form) -> Result<CreateGrant, Vec<FieldProblem>> {
    let of_value = |invalid: InvalidValue| FieldProblem::of_value(&invalid, field_names);
    let feature = suggestions::feature(catalog, form.text("grant-feature")).map_err(of_value);
    let amount = number::read(form.text("grant-amount"))
        .map_err(|problem| FieldProblem::of("grant-amount", problem));
    let priority = match form.text("grant-priority").trim() {
        "" => Ok(0),
        text => number::read(text).map_err(|problem| FieldProblem::of("grant-priority", problem)),
    };
    let starts_at = instant(form, "grant-starts");
    let expires_at = instant(form, "grant-expires");
    let reason = match form.text("grant-reason").trim() {
        "" => Ok(None),
        text => Label::new("reason", text).map(Some).map_err(of_value),
    };
    // The nonce of the form makes a second click give nothing more, on whatever node.
    let id = GrantId::new("nonce", &format!("dashboard-{}", form.text("nonce"))).map_err(of_value);
    match (feature, amount, priority, starts_at, expires_at, reason, id) {
        (
            Ok(feature),
            Ok(amount),
            Ok(priority),
            Ok(starts_at),
            Ok(expires_at),
            Ok(reason),
            Ok(id),
        ) => Ok(CreateGrant {
            user: user.clone(),
            feature,
            id: Some(id),
            amount,
            priority,
            starts_at,
            expires_at,
            reason,
            new_key: GrantKey::UNCHOSEN,
        }),
        (feature, amount, priority, starts_at, expires_at, reason, id) => {
            let problems = [
                feature.err(),
                amount.err(),
                priority.err(),
                starts_at.err(),
                expires_at.err(),
                reason.err(),
                id.err(),
            ];
            Err(problems.into_iter().flatten().collect())
        }
    }
}

/// Reads an instant; `None` if the field is empty.
fn instant(form: &Form, field: &'static str) -> Result<Option<Timestamp>, FieldProblem> {
    match form.text(field).trim() {
        "" => Ok(None),
        text => Timestamp::parse(field, &as_rfc_3339(text)).map(Some).map_err(|_| {
            FieldProblem::of(field, "Must be like 2026-11-29 09:03:11 UTC, or 2026-11-29.")
        }),
    }
}

fn field_names(field: &str) -> Option<&'static str> {
    Some(match field {
        "feature" | "featureId" => "grant-feature",
        "amount" => "grant-amount",
        "priority" => "grant-priority",
        "startsAt" => "grant-starts",
        "expiresAt" => "grant-expires",
        "reason" => "grant-reason",
        _ => return None,
    })
}

async fn confirm_void(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_void(&asked, Filled::default()).await
}

async fn show_void(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let (user, id) = named(asked)?;
    let feature = FeatureId::new("feature", asked.query("feature")).map_err(Refusal::from)?;
    let environment = &asked.entrance.environment;
    let cancel = asked.address("/user")?.with("id", user.as_str());
    let (grants, now) = environment.grants(&user, &feature).await?;
    let found = grants.iter().find(|grant| grant.id == id && !grant.has_ended(now));
    let Some(grant) = found else { return Err(Problem::Elsewhere(cancel)) };
    let frame = asked.frame("Void the grant?", Place::Users).await?;
    let status = form.status();
    let page = ConfirmPage {
        frame: frame.under(cancel.clone(), user.as_str()),
        form,
        text: format!(
            "Of {amount} for {feature}, {user} has used {drawn}. What is left, {left}, is gone at \
             once. What was used stays covered.",
            amount = grouped(grant.amount),
            drawn = grouped(grant.drawn),
            left = grouped(grant.left()),
        ),
        act: "Void grant",
        is_dangerous: true,
        action: asked
            .address("/user/void-grant")?
            .with("id", user.as_str())
            .with("feature", feature.as_str())
            .with("grant", id.as_str()),
        cancel,
    };
    html(status, &page)
}

async fn void(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (user, id) = named(&asked)?;
    let address = asked.address("/user")?.with("id", user.as_str());
    match asked.entrance.environment.void_grant(user, id).await {
        Ok(_) => Ok(see_other(&address.done(Done::GrantVoided))),
        Err(error) => show_void(&asked, Filled::refused(form, error, |_| None)?).await,
    }
}

/// Returns the user and the grant that the address names.
fn named(asked: &Asked<Editor>) -> Result<(UserId, GrantId), Problem> {
    let grant = GrantId::new("grant", asked.query("grant")).map_err(Refusal::from)?;
    Ok((read_id(asked.query("id"))?, grant))
}
