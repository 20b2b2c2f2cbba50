//! The usage events of one user, looked for in everything that was recorded.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::id::PackageId;
use kana_core::usage::LoggedAction;
use kana_service::{EventCursor, UserEvent};

use super::list::{Pages, ROWS};
use super::user_form::read_id;
use super::users::text;
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/user/events", page)]
}

#[derive(Template)]
#[template(path = "user_events.html")]
struct UserEventsPage {
    frame: Frame,
    rows: Vec<Row>,
    /// Since when everything was looked at; `None` if there is nothing older.
    looked_back_to: Option<Instant>,
    pages: Pages,
}

/// A usage event.
struct Row {
    occurred_at: Instant,
    recorded_at: Instant,
    feature: String,
    feature_address: Address,
    action: &'static str,
    amount: String,
    /// The package under which it was counted.
    counted: Option<(String, Address)>,
    key: String,
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let id = read_id(asked.query("id"))?;
    let after = EventCursor::parse(asked.query("after"));
    let found = asked.entrance.view.user_events(&id, after, ROWS).await?;
    let list = asked.address("/user/events")?.with("id", id.as_str());
    let user = asked.address("/user")?.with("id", id.as_str());
    let name = text(found.user.name.as_ref());
    let name = if name.is_empty() { id.as_str().to_owned() } else { name };
    let rows = found.events.iter().map(|event| row(&asked, &found.catalog, event));
    let page = UserEventsPage {
        rows: rows.collect::<Result<_, _>>()?,
        looked_back_to: found.looked_back_to.map(Instant::from),
        pages: Pages {
            order: "At most 50 rows a page, the last recorded first",
            first: after.is_some().then(|| list.clone()),
            next: found.next.map(|next| list.with("after", &next.to_string())),
        },
        frame: asked
            .frame(format!("Events of {id}"), Place::Users)
            .await?
            .under(user, name)
            .lead("The usage that was recorded, one row for each event."),
    };
    html(StatusCode::OK, &page)
}

fn row(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    UserEvent { event, package }: &UserEvent,
) -> Result<Row, Problem> {
    let feature = catalog.feature(&event.feature);
    let counted = |id: &PackageId| {
        let name = catalog.package(id).map_or(id.as_str(), |package| package.name.as_str());
        let address = asked.address("/package")?.with("id", id.as_str());
        Ok::<_, Problem>((name.to_owned(), address))
    };
    Ok(Row {
        occurred_at: event.occurred_at.into(),
        recorded_at: event.recorded_at.into(),
        feature: feature.map_or(event.feature.as_str(), |feature| feature.name.as_str()).to_owned(),
        feature_address: asked.address("/feature")?.with("id", event.feature.as_str()),
        action: match event.action {
            LoggedAction::Add => "Add",
            LoggedAction::Set => "Set",
            LoggedAction::Void => "Taken back",
        },
        amount: grouped(event.delta),
        counted: package.as_ref().map(counted).transpose()?,
        key: event.idempotency_key.as_ref().map_or_else(String::new, ToString::to_string),
    })
}
