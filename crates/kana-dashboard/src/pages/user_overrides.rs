//! Other terms of one feature for one user: set and remove them.

use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::decide::OverrideInput;
use kana_core::id::{FeatureId, UserId};
use kana_core::metadata::Label;
use kana_core::overrides::OverrideKind;
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::refusal::InvalidValue;
use kana_core::{Refusal, Timestamp};

use super::confirm::ConfirmPage;
use super::package_form::resets_value;
use super::suggestions;
use super::user::{Forms, show};
use super::user_changes::as_rfc_3339;
use super::user_form::read_id;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::Place;
use crate::number;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/dashboard/{environment}/user/override", set),
        get("/dashboard/{environment}/user/remove-override", confirm_remove),
        post("/dashboard/{environment}/user/remove-override", remove),
    ]
}

async fn set(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let user = read_id(asked.query("id"))?;
    let catalog = environment.catalog().await?;
    let filled = match read(&catalog, &form) {
        Err(problems) => Filled::with_problems(form, problems),
        Ok((feature, input, about)) => {
            match environment.set_override(user.clone(), feature, input, about).await {
                Ok(_) => {
                    let address = asked.address("/user")?.with("id", user.as_str());
                    return Ok(see_other(&address.done(Done::OverrideSet).at_top()));
                }
                Err(error) => Filled::refused(form, error, field_names)?,
            }
        }
    };
    show(&asked, environment, &user, Forms { overriding: filled, ..Forms::default() }).await
}

type Read = (FeatureId, OverrideInput, (Option<Timestamp>, Option<Label>));

fn read(catalog: &Catalog, form: &Form) -> Result<Read, Vec<FieldProblem>> {
    let of_value = |invalid: InvalidValue| FieldProblem::of_value(&invalid, field_names);
    let feature = suggestions::feature(catalog, form.text("override-feature")).map_err(of_value);
    let input = read_input(form);
    let ends_at = match form.text("override-ends").trim() {
        "" => Ok(None),
        text => Timestamp::parse("endsAt", &as_rfc_3339(text)).map(Some).map_err(|_| {
            let message = "Must be like 2026-11-29 09:03:11 UTC, or 2026-11-29.";
            FieldProblem::of("override-ends", message)
        }),
    };
    let reason = match form.text("override-reason").trim() {
        "" => Ok(None),
        text => Label::new("reason", text).map(Some).map_err(of_value),
    };
    match (feature, input, ends_at, reason) {
        (Ok(feature), Ok(input), Ok(ends_at), Ok(reason)) => {
            Ok((feature, input, (ends_at, reason)))
        }
        (feature, input, ends_at, reason) => {
            let problems = [feature.err(), input.err(), ends_at.err(), reason.err()];
            Err(problems.into_iter().flatten().collect())
        }
    }
}

fn read_input(form: &Form) -> Result<OverrideInput, FieldProblem> {
    let choose = |field: &'static str| FieldProblem::of(field, "Choose one of the list.");
    let kind = match form.text("override-kind") {
        "limit" => OverrideKind::Limit,
        "unlimited" => OverrideKind::Unlimited,
        "deny" => OverrideKind::Deny,
        _ => return Err(choose("override-kind")),
    };
    let limit = match form.text("override-limit").trim() {
        "" => None,
        text => {
            let limit = number::read(text);
            Some(limit.map_err(|problem| FieldProblem::of("override-limit", problem))?)
        }
    };
    let reset_period = match form.text("override-resets") {
        "" => None,
        text => {
            let mut known = ResetPeriod::ALL.into_iter();
            let found = known.find(|period| resets_value(Some(*period)) == text);
            Some(found.ok_or_else(|| choose("override-resets"))?)
        }
    };
    let overage_enabled = match form.text("override-overage") {
        "" => None,
        "yes" => Some(true),
        "no" => Some(false),
        _ => return Err(choose("override-overage")),
    };
    let reset_anchor = form.has("override-calendar").then_some(ResetAnchor::Calendar);
    let input = OverrideInput { kind, limit, reset_period, reset_anchor, overage_enabled };
    input.read().map_err(|invalid| FieldProblem::of_value(&invalid, field_names))?;
    Ok(input)
}

fn field_names(field: &str) -> Option<&'static str> {
    Some(match field {
        "feature" => "override-feature",
        "kind" => "override-kind",
        "limit" => "override-limit",
        "resetPeriod" => "override-resets",
        "resetAnchor" => "override-calendar",
        "overageEnabled" => "override-overage",
        "endsAt" => "override-ends",
        "reason" => "override-reason",
        _ => return None,
    })
}

async fn confirm_remove(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_remove(&asked, Filled::default()).await
}

async fn show_remove(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let (user, feature) = named(asked)?;
    let environment = &asked.entrance.environment;
    let cancel = asked.address("/user")?.with("id", user.as_str());
    let overrides = environment.overrides(&user).await?;
    if overrides.iter().all(|known| known.feature != feature) {
        return Err(Problem::Elsewhere(cancel));
    }
    let frame = asked.frame("Remove the override?", Place::Users).await?;
    let status = form.status();
    let page = ConfirmPage {
        frame: frame.under(cancel.clone(), user.as_str()),
        form,
        text: format!(
            "For {feature}, {user} has what the subscriptions give from then on, at once. What was \
             used stays counted."
        ),
        act: "Remove override",
        is_dangerous: true,
        action: asked
            .address("/user/remove-override")?
            .with("id", user.as_str())
            .with("feature", feature.as_str()),
        cancel,
    };
    html(status, &page)
}

async fn remove(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (user, feature) = named(&asked)?;
    let address = asked.address("/user")?.with("id", user.as_str());
    match asked.entrance.environment.remove_override(user, feature).await {
        Ok(_) => Ok(see_other(&address.done(Done::OverrideRemoved))),
        Err(error) => show_remove(&asked, Filled::refused(form, error, |_| None)?).await,
    }
}

/// Returns the user and the feature that the address names.
fn named(asked: &Asked<Editor>) -> Result<(UserId, FeatureId), Problem> {
    let feature = FeatureId::new("feature", asked.query("feature")).map_err(Refusal::from)?;
    Ok((read_id(asked.query("id"))?, feature))
}
