//! The read-only Client API for browsers (contract: `client.graphql`, `client-api.md`).

mod origins;
mod schema;

use std::sync::Arc;

use async_graphql::{EmptyMutation, EmptySubscription, Schema, SchemaBuilder};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use kana_graphql::{AnswerBudget, Endpoint, NoPlan};
use kana_http::body::{BodyMemory, RequestBody};
use kana_service::Kana;
use kana_telemetry::Surface;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::authorisation::{USER_ID, client_user, count};
use crate::graphql::{read, refuse, unauthorised};
use crate::rate_limit::RateLimiting;
pub use origins::{AllowedOrigins, InvalidOrigin, Origin};
use schema::Query;

/// Sent by existing clients; it changes nothing.
const API_VERSION: HeaderName = HeaderName::from_static("x-api-version");

/// What a page of another origin may read of an answer.
const EXPOSED: [HeaderName; 4] = [
    header::RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// For how long a browser may remember that it may call.
const PREFLIGHT_SECONDS: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

struct ClientApi {
    kana: Arc<Kana>,
    endpoint: Endpoint<Query, EmptyMutation, NoPlan>,
    body_memory: Arc<BodyMemory>,
}

/// `/client/graphql`.
pub(crate) fn router(
    kana: &Arc<Kana>,
    body_memory: &Arc<BodyMemory>,
    answers: &Arc<AnswerBudget>,
    limits: &RateLimiting,
    origins: AllowedOrigins,
) -> Router {
    let endpoint = Endpoint::new(builder(), answers);
    let body_memory = Arc::clone(body_memory);
    let api = ClientApi { kana: Arc::clone(kana), endpoint, body_memory };
    let methods: MethodRouter<Arc<ClientApi>> = get(answer).post(answer);
    let endpoint = Router::new().route("/client/graphql", methods).with_state(Arc::new(api));
    // A browser lets a page see a refusal only if it has the headers of an answer.
    limits.of_users(kana, refuse, endpoint).layer(cors(origins))
}

/// Lets the web pages of these origins read the answers of `/client/graphql`.
pub(crate) fn cors(origins: AllowedOrigins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(match origins {
            AllowedOrigins::Any => AllowOrigin::from(Any),
            AllowedOrigins::These(origins) => {
                AllowOrigin::list(origins.iter().map(|origin| origin.header().clone()))
            }
        })
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, USER_ID, API_VERSION])
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_SECONDS)
}

/// The schema in its own language.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl()
}

fn builder() -> SchemaBuilder<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query, EmptyMutation, EmptySubscription).disable_suggestions()
}

async fn answer(State(api): State<Arc<ClientApi>>, http: Request) -> Response {
    let (head, body) = http.into_parts();
    let mut body = RequestBody::new(body, &api.body_memory);
    let authorise = async |headers: &HeaderMap| {
        let authorised = client_user(&api.kana, headers).await;
        count(Surface::Client, authorised.as_ref().err());
        authorised.map_err(|error| unauthorised(&error))
    };
    api.endpoint.respond(head, authorise, async || read(&mut body).await).await
}
