//! The Admin API for back ends (contract: `admin.graphql`, `admin-api.md`).
//!
//! A module holds one kind of thing: its GraphQL types, its inputs, and how they are read.
//!
//! A nullable field that can fail is an `Option<Result<…>>`: the library makes it null then, and
//! would carry the error of a `Result<Option<…>>` to the parent.

mod connection;
mod console;
mod environment;
mod explanation;
mod feature;
mod feature_type;
mod feed;
mod grants;
mod holds;
mod input;
mod mutation;
mod overrides;
mod package;
mod plan;
mod query;
mod subscription;
mod thresholds;
mod usage;
mod user;

use std::sync::Arc;

use async_graphql::{EmptySubscription, Schema, SchemaBuilder};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use kana_graphql::{AnswerBudget, Endpoint};
use kana_http::body::{BodyMemory, RequestBody};
use kana_service::Kana;
use kana_telemetry::Surface;

use crate::authorisation::authorise;
use crate::graphql::{read, refuse, unauthorised};
use crate::rate_limit::RateLimiting;
use crate::scalars::AdminScalars;
use mutation::Mutation;
use plan::UsagePlan;
use query::Query;

/// What the route holds.
struct AdminApi {
    kana: Arc<Kana>,
    body_memory: Arc<BodyMemory>,
    endpoint: Endpoint<Query, Mutation, UsagePlan, AdminScalars>,
}

/// `/graphql`.
pub(crate) fn router(
    kana: &Arc<Kana>,
    body_memory: &Arc<BodyMemory>,
    answers: &Arc<AnswerBudget>,
    limits: &RateLimiting,
) -> Router {
    let endpoint = Endpoint::new(builder(), answers);
    let body_memory = Arc::clone(body_memory);
    let api = AdminApi { kana: Arc::clone(kana), body_memory, endpoint };
    let methods: MethodRouter<Arc<AdminApi>> = get(answer).post(answer);
    let endpoint = Router::new().route("/graphql", methods).with_state(Arc::new(api));
    Router::new()
        .route("/graphql/console.js", get(console::script))
        .route("/graphql/console.css", get(console::style))
        .merge(limits.of_keys(kana, refuse, endpoint))
}

/// The schema in its own language, as clients generate code from it.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl()
}

fn builder() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query, Mutation, EmptySubscription).disable_suggestions()
}

async fn answer(State(api): State<Arc<AdminApi>>, http: Request) -> Response {
    if console::is_wanted(&http) {
        return console::page();
    }
    let (head, body) = http.into_parts();
    let mut body = RequestBody::new(body, &api.body_memory);
    let authorise = async |headers: &HeaderMap| {
        authorise(&api.kana, headers, Surface::Admin).await.map_err(|error| unauthorised(&error))
    };
    api.endpoint.respond(head, authorise, async || read(&mut body).await).await
}
