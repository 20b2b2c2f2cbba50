//! What is answered while a server starts, before its database is open (contract: `operations.md`, "Health and
//! endings" and "PostgreSQL"): `/healthz`, `/readyz` and `/metrics` as ever, and everything else with 503.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use kana_graphql::ErrorBody;
use kana_telemetry::request;
use serde_json::json;

use crate::Settings;
use crate::http_error::{HttpError, PROBLEM, Problem, add_headers};
use crate::{cli, client, events, graphql, health, metrics};

/// What the rest is answered with.
const MESSAGE: &str = "the server is starting, and nothing was recorded; try again shortly";

/// How far a start has come. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Starting(Arc<Mutex<Option<&'static str>>>);

impl Starting {
    /// Has `/readyz` answer from now on that the database is what is missing, and why in a few words.
    pub fn set_database_problem(&self, problem: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    fn check(&self) -> (&'static str, &'static str) {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(problem) => ("database", problem),
            None => ("server", "starting"),
        }
    }
}

/// Every route of a server that starts.
pub fn router(starting: &Starting, settings: &Settings) -> Router {
    let of_operators =
        if settings.has_metrics { operators_router(starting) } else { health_router(starting) };
    let of_clients = Router::new()
        .route("/client/graphql", any(refuse_graphql))
        .layer(client::cors(settings.client_origins.clone()));
    of_operators
        .merge(of_clients)
        .route("/graphql", any(refuse_graphql))
        .route("/events", any(async || events::refuse(refusal())))
        .route("/cli/{call}", any(async || cli::refuse(refusal())))
        .fallback(refuse)
}

/// The routes for operators of a server that starts: `/metrics`, `/healthz` and `/readyz`.
pub fn operators_router(starting: &Starting) -> Router {
    health_router(starting).route("/metrics", get(metrics::at_start))
}

fn health_router(starting: &Starting) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .with_state(starting.clone())
}

/// That it waits stands in the log already.
async fn ready(State(starting): State<Starting>) -> Response {
    health::not_ready(starting.check())
}

async fn refuse_graphql(headers: HeaderMap) -> Response {
    graphql::refuse(&headers, refusal())
}

/// Refuses what has no form of its own for errors (RFC 9457).
async fn refuse() -> Response {
    let error = refusal();
    request::note_error(error.body.code);
    let headers = [(header::CONTENT_TYPE, PROBLEM)];
    let body = json!(Problem::new(&error)).to_string();
    let mut response = (error.status, headers, body).into_response();
    add_headers(&mut response);
    response
}

fn refusal() -> HttpError {
    HttpError { status: StatusCode::SERVICE_UNAVAILABLE, body: ErrorBody::overloaded(MESSAGE) }
}
