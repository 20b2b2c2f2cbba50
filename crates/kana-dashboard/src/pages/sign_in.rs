//! Signing in and out.

use std::time::Duration;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kana_service::SignInError;

use crate::address::{Address, after_sign_in};
use crate::answer::{Asked, Posted, clear_session, html, see_other, set_session};
use crate::entrance::{Anyone, SignedIn};
use crate::form::{Filled, Form};
use crate::frame::Frame;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/sign-in", page),
        post("/dashboard/sign-in", sign_in),
        post("/dashboard/sign-out", sign_out),
    ]
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    form: Filled,
    /// Why the last attempt failed; empty before the first.
    alert: String,
}

async fn page(asked: Asked<Anyone>) -> Result<Response, Problem> {
    if asked.visit.session().is_ok() {
        return Err(Problem::Elsewhere(Address::outside("")));
    }
    let form = Form::with([("next", asked.query("next").to_owned())]);
    let frame = asked.bare_frame("Sign in").await?;
    html(StatusCode::OK, &SignInPage { frame, form: form.into(), alert: String::new() })
}

async fn sign_in(posted: Posted<Anyone>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let visit = &asked.visit;
    let attempt =
        visit.dashboard.kana.sign_in(&visit.visitor, form.text("email"), form.text("password"));
    let secret = match attempt.await {
        Ok(secret) => secret,
        Err(SignInError::Wrong) => {
            let alert = "E-mail or password is wrong.".to_owned();
            return again(&asked, form, StatusCode::UNPROCESSABLE_ENTITY, alert).await;
        }
        Err(SignInError::TooMany { wait }) => return wait_first(&asked, form, wait).await,
        Err(SignInError::Busy) => return Err(Problem::Busy),
        Err(SignInError::Other(error)) => return Err(error.into()),
    };
    let next = after_sign_in(form.text("next")).unwrap_or_else(|| Address::outside(""));
    let mut response = see_other(&next);
    set_session(visit, &secret, &mut response);
    Ok(response)
}

async fn wait_first(
    asked: &Asked<Anyone>,
    form: Form,
    wait: Duration,
) -> Result<Response, Problem> {
    let (seconds, alert) = too_many_attempts(wait);
    let mut response = again(asked, form, StatusCode::TOO_MANY_REQUESTS, alert).await?;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}

/// Returns how many seconds to wait, and the sentence that says so.
pub(super) fn too_many_attempts(wait: Duration) -> (u64, String) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    (seconds, format!("Too many attempts. Try again in {seconds} {unit}."))
}

async fn again(
    asked: &Asked<Anyone>,
    form: Form,
    status: StatusCode,
    alert: String,
) -> Result<Response, Problem> {
    let frame = asked.bare_frame("Sign in").await?;
    html(status, &SignInPage { frame, form: form.into(), alert })
}

async fn sign_out(posted: Posted<SignedIn>) -> Result<Response, Problem> {
    let visit = &posted.asked.visit;
    visit.session()?.sign_out().await?;
    let mut response = see_other(&Address::outside("/sign-in"));
    clear_session(visit, &mut response);
    Ok(response)
}
