//! The first password, by a link that works once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_service::AcceptError;

use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other, set_session};
use crate::entrance::Anyone;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::Frame;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/welcome", page), post("/dashboard/welcome", set_password)]
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    frame: Frame,
    form: Filled,
    /// Whether the invitation names the e-mail address.
    is_invited: bool,
}

#[derive(Template)]
#[template(path = "gone.html")]
struct GonePage {
    frame: Frame,
}

/// Looking at the link uses nothing up, since mail and chat programs look at links.
async fn page(asked: Asked<Anyone>) -> Result<Response, Problem> {
    let token = asked.query("token");
    let Some(invitation) = asked.visit.dashboard.kana.invitation(token).await? else {
        return gone(&asked).await;
    };
    let is_invited = invitation.email.is_some();
    let form =
        Form::with([("token", token.to_owned()), ("email", invitation.email.unwrap_or_default())]);
    let frame = asked.bare_frame("Welcome to Kana").await?;
    html(StatusCode::OK, &WelcomePage { frame, form: form.into(), is_invited })
}

async fn set_password(posted: Posted<Anyone>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let visit = &asked.visit;
    if form.text("password") != form.text("repeated") {
        let problem = FieldProblem::of("repeated", "The passwords differ.");
        return again(&asked, form, problem).await;
    }
    let (token, email) = (form.text("token"), form.text("email"));
    let accepted =
        visit.dashboard.kana.accept_invitation(&visit.visitor, token, email, form.text("password"));
    match accepted.await {
        Ok(secret) => {
            let mut response = see_other(&Address::outside(""));
            set_session(visit, &secret, &mut response);
            Ok(response)
        }
        Err(AcceptError::Gone) => gone(&asked).await,
        Err(AcceptError::Invalid(invalid)) => {
            let problem = FieldProblem::of_value(&invalid, |field| match field {
                "email" => Some("email"),
                "password" => Some("password"),
                _ => None,
            });
            again(&asked, form, problem).await
        }
        Err(AcceptError::Busy) => Err(Problem::Busy),
        Err(AcceptError::Other(error)) => Err(error.into()),
    }
}

async fn again(
    asked: &Asked<Anyone>,
    form: Form,
    problem: FieldProblem,
) -> Result<Response, Problem> {
    let Some(invitation) = asked.visit.dashboard.kana.invitation(form.text("token")).await? else {
        return gone(asked).await;
    };
    let form = Filled::with_problems(form, vec![problem]);
    let frame = asked.bare_frame("Welcome to Kana").await?;
    let page = WelcomePage { frame, form, is_invited: invitation.email.is_some() };
    html(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn gone(asked: &Asked<Anyone>) -> Result<Response, Problem> {
    let frame = asked.bare_frame("This link is no longer valid").await?;
    html(StatusCode::GONE, &GonePage { frame })
}
