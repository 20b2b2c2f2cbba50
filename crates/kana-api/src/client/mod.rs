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
use kana_http::decoded;
use kana_service::{ClientUser, Error, Kana, Unauthenticated};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::authorisation::presented;
use crate::graphql::{read, unauthorised};
pub use origins::{AllowedOrigins, InvalidOrigin, Origin};
use schema::Query;

/// Who the user is, when a public key opens the door.
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// Sent by existing clients; it changes nothing.
const API_VERSION: HeaderName = HeaderName::from_static("x-api-version");

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
    origins: AllowedOrigins,
) -> Router {
    let endpoint = Endpoint::new(builder(), answers);
    let (kana, body_memory) = (Arc::clone(kana), Arc::clone(body_memory));
    let api = ClientApi { kana, endpoint, body_memory };
    let methods: MethodRouter<Arc<ClientApi>> = get(answer).post(answer);
    Router::new().route("/client/graphql", methods).layer(cors(origins)).with_state(Arc::new(api))
}

fn cors(origins: AllowedOrigins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(match origins {
            AllowedOrigins::Any => AllowOrigin::from(Any),
            AllowedOrigins::These(origins) => {
                AllowOrigin::list(origins.iter().map(|origin| origin.header().clone()))
            }
        })
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, USER_ID, API_VERSION])
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
        authorise(&api.kana, headers).await.map_err(|error| unauthorised(&error))
    };
    api.endpoint.respond(head, authorise, async || read(&mut body).await).await
}

/// The user of a user token, or the one that the holder of a public key names.
async fn authorise(kana: &Arc<Kana>, headers: &HeaderMap) -> Result<ClientUser, Error> {
    let presented = presented(headers, Unauthenticated::MissingForClient)?;
    if presented.starts_with("prv_") {
        return Err(Unauthenticated::PrivateKeyInBrowser.into());
    }
    // No token starts like a key: its first letters are those of a JSON object in Base64.
    if !presented.starts_with("pub_") {
        return kana.authorise_token(presented).await;
    }
    let user = headers.get(USER_ID).map(|id| decoded(id.as_bytes()));
    kana.authorise_public(presented, user.as_deref()).await
}
