//! Rooms for the integrations that are not there yet.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::frame::{Frame, Place};
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/integrations", list),
        get("/dashboard/{environment}/integrations/stripe", stripe),
        get("/dashboard/{environment}/integrations/segment", segment),
    ]
}

#[derive(Template)]
#[template(path = "placeholder.html")]
struct PlaceholderPage {
    frame: Frame,
    text: &'static str,
}

#[derive(Template)]
#[template(path = "integrations.html")]
struct IntegrationsPage {
    frame: Frame,
    stripe: String,
    segment: String,
}

async fn list(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let frame = asked.frame("Integrations", Place::Integrations).await?;
    let (stripe, segment) =
        (asked.address("/integrations/stripe")?, asked.address("/integrations/segment")?);
    let page = IntegrationsPage { frame, stripe: stripe.to_string(), segment: segment.to_string() };
    html(StatusCode::OK, &page)
}

async fn stripe(asked: Asked<Viewer>) -> Result<Response, Problem> {
    room(&asked, "Stripe", "Kana will take subscriptions and their state from Stripe.").await
}

async fn segment(asked: Asked<Viewer>) -> Result<Response, Problem> {
    room(&asked, "Segment", "Kana will take users and usage from Segment.").await
}

async fn room(asked: &Asked<Viewer>, title: &str, text: &'static str) -> Result<Response, Problem> {
    let list = asked.address("/integrations")?;
    let frame = asked.frame(title, Place::Integrations).await?.under(list, "Integrations");
    html(StatusCode::OK, &PlaceholderPage { frame, text })
}
