//! One's own account: sessions and password.

use std::time::Duration;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kana_service::ChangePasswordError;

use super::sign_in::too_many_attempts;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other, set_session};
use crate::done::Done;
use crate::entrance::SignedIn;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/account", page),
        post("/dashboard/account/password", change_password),
        post("/dashboard/account/sign-out-elsewhere", sign_out_elsewhere),
    ]
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    form: Filled,
    email: String,
    role: &'static str,
    sessions: Vec<Row>,
}

/// A session of the account.
struct Row {
    since: Instant,
    last_seen: Instant,
    address: String,
    browser: String,
    is_this: bool,
}

async fn page(asked: Asked<SignedIn>) -> Result<Response, Problem> {
    show(&asked, Filled::default()).await
}

async fn show(asked: &Asked<SignedIn>, form: Filled) -> Result<Response, Problem> {
    let session = asked.visit.session()?;
    let sessions = session.sessions().await?.into_iter().map(|row| Row {
        since: row.created_at.into(),
        last_seen: row.last_seen_at.into(),
        address: row.address,
        browser: row.browser,
        is_this: row.is_this,
    });
    let status = form.status();
    let page = AccountPage {
        sessions: sessions.collect(),
        frame: asked.frame("Account", Place::Account).await?,
        form,
        email: session.email().to_owned(),
        role: session.role().name(),
    };
    html(status, &page)
}

async fn change_password(posted: Posted<SignedIn>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let visit = &asked.visit;
    if form.text("new") != form.text("repeated") {
        let problem = FieldProblem::of("repeated", "The passwords differ.");
        return show(&asked, Filled::with_problems(Form::default(), vec![problem])).await;
    }
    let session = visit.session()?;
    let changed =
        session.change_password(&visit.visitor, form.text("current"), form.text("new")).await;
    let problem = match changed {
        Ok(secret) => {
            let done = Address::outside("/account").done(Done::PasswordChanged);
            let mut response = see_other(&done);
            set_session(visit, &secret, &mut response);
            return Ok(response);
        }
        Err(ChangePasswordError::Wrong) => {
            FieldProblem::of("current", "This is not your current password.")
        }
        Err(ChangePasswordError::Invalid(invalid)) => {
            FieldProblem::of_value(&invalid, |_| Some("new"))
        }
        Err(ChangePasswordError::TooMany { wait }) => return wait_first(&asked, wait).await,
        Err(ChangePasswordError::Busy) => return Err(Problem::Busy),
        Err(ChangePasswordError::Other(error)) => return Err(error.into()),
    };
    show(&asked, Filled::with_problems(Form::default(), vec![problem])).await
}

async fn wait_first(asked: &Asked<SignedIn>, wait: Duration) -> Result<Response, Problem> {
    let (seconds, sentence) = too_many_attempts(wait);
    let problem = FieldProblem::of("current", sentence);
    let mut response = show(asked, Filled::with_problems(Form::default(), vec![problem])).await?;
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

async fn sign_out_elsewhere(posted: Posted<SignedIn>) -> Result<Response, Problem> {
    posted.asked.visit.session()?.sign_out_everywhere_else().await?;
    Ok(see_other(&Address::outside("/account").done(Done::SignedOutElsewhere)))
}
