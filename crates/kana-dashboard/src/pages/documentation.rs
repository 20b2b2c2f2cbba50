//! First calls, schemas and the guide, all from the binary.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kana_service::EnvironmentKind;

use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::frame::{Frame, Place};
use crate::problem::Problem;
use crate::route::{Route, get};

const GUIDE: &str = include_str!("../../../../docs/guide.md");
const ADMIN_SCHEMA: &str = include_str!("../../../../docs/reference/admin.graphql");
const CLIENT_SCHEMA: &str = include_str!("../../../../docs/reference/client.graphql");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/documentation", page),
        get("/dashboard/{environment}/documentation/guide.md", guide),
        get("/dashboard/{environment}/documentation/admin.graphql", admin_schema),
        get("/dashboard/{environment}/documentation/client.graphql", client_schema),
    ]
}

#[derive(Template)]
#[template(path = "documentation.html")]
struct DocumentationPage {
    frame: Frame,
    /// Where this server is reached.
    server: String,
    environment: EnvironmentKind,
    developers: Address,
    guide: Address,
    admin_schema: Address,
    client_schema: Address,
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let page = DocumentationPage {
        frame: asked
            .frame("Documentation", Place::Documentation)
            .await?
            .lead("The first calls, ready to paste. Everything comes from this server; the console alone takes an editor from the network, if there is one."),
        server: asked.visit.server_url(),
        environment: asked.visit.environment()?,
        developers: asked.address("/developers")?,
        guide: asked.address("/documentation/guide.md")?,
        admin_schema: asked.address("/documentation/admin.graphql")?,
        client_schema: asked.address("/documentation/client.graphql")?,
    };
    html(StatusCode::OK, &page)
}

async fn guide(_: Asked<Viewer>) -> Result<Response, Problem> {
    Ok(text(GUIDE))
}

async fn admin_schema(_: Asked<Viewer>) -> Result<Response, Problem> {
    Ok(text(ADMIN_SCHEMA))
}

async fn client_schema(_: Asked<Viewer>) -> Result<Response, Problem> {
    Ok(text(CLIENT_SCHEMA))
}

fn text(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
