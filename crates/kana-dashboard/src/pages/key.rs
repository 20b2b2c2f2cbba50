//! What is asked about before it is done to keys and the token secret.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_service::{Key, KeyKind, KeyState};

use super::confirm::ConfirmPage;
use super::developers::kind_name;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Developer;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/developers/revoke", confirm_revoke),
        post("/dashboard/{environment}/developers/revoke", revoke),
        get("/dashboard/{environment}/developers/rotate", confirm_rotate),
        post("/dashboard/{environment}/developers/rotate", rotate),
    ]
}

async fn confirm_revoke(asked: Asked<Developer>) -> Result<Response, Problem> {
    let keys = asked.entrance.developer.view().keys().await?;
    let id = id(&asked)?;
    let (key, state) = keys.iter().find(|(key, _)| key.id == id).ok_or(Problem::NotFound)?;
    let cancel = asked.address("/developers")?;
    if *state == KeyState::Revoked {
        return Err(Problem::Elsewhere(cancel));
    }
    let frame = asked.frame("Revoke the key?", Place::Developers).await?;
    let page = ConfirmPage {
        frame: frame.under(cancel.clone(), "Developers"),
        form: Filled::default(),
        text: what_revoking_does(key, &keys),
        act: "Revoke key",
        is_dangerous: true,
        action: asked.address("/developers/revoke")?.with("id", &id.to_string()),
        cancel,
    };
    html(StatusCode::OK, &page)
}

fn what_revoking_does(key: &Key, keys: &[(Key, KeyState)]) -> String {
    let named = key.name.as_deref().map(|name| format!(" “{name}”")).unwrap_or_default();
    let mut text = format!(
        "The {}{named} that ends in {} stops working within 5 seconds, for good.",
        kind_name(key.kind),
        key.last_four
    );
    let is_alone = !keys.iter().any(|(other, state)| {
        other.id != key.id && other.kind == key.kind && *state == KeyState::Active
    });
    if is_alone && key.kind == KeyKind::Private {
        text.push_str(
            " It is the last one of this environment: no program gets in until you create another.",
        );
    }
    text
}

fn id(asked: &Asked<Developer>) -> Result<i64, Problem> {
    asked.query("id").parse().map_err(|_| Problem::NotFound)
}

async fn revoke(posted: Posted<Developer>) -> Result<Response, Problem> {
    let asked = posted.asked;
    if asked.entrance.developer.revoke_key(id(&asked)?).await?.is_none() {
        return Err(Problem::NotFound);
    }
    Ok(see_other(&asked.address("/developers")?.done(Done::KeyRevoked)))
}

#[derive(Template)]
#[template(path = "rotate_token_secret.html")]
struct RotatePage {
    frame: Frame,
    form: Filled,
    days: u32,
    action: Address,
    cancel: Address,
}

async fn confirm_rotate(asked: Asked<Developer>) -> Result<Response, Problem> {
    show_rotate(&asked, Form::with([("tokens", "keep".to_owned())]).into()).await
}

async fn show_rotate(asked: &Asked<Developer>, form: Filled) -> Result<Response, Problem> {
    let cancel = asked.address("/developers")?;
    let frame = asked.frame("Rotate the token secret?", Place::Developers).await?;
    let settings = asked.entrance.developer.view().browser_settings().await?;
    let status = form.status();
    let page = RotatePage {
        frame: frame.under(cancel.clone(), "Developers"),
        form,
        days: settings.user_token_days,
        action: asked.address("/developers/rotate")?,
        cancel,
    };
    html(status, &page)
}

async fn rotate(posted: Posted<Developer>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let end_all = match form.text("tokens") {
        "keep" => false,
        "end" => true,
        _ => {
            let problem = FieldProblem::of("tokens", "Choose what becomes of earlier tokens.");
            return show_rotate(&asked, Filled::with_problems(form, vec![problem])).await;
        }
    };
    asked.entrance.developer.rotate_token_secret(end_all).await?;
    Ok(see_other(&asked.address("/developers")?.done(Done::TokenSecretRotated)))
}
