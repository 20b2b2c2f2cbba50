//! The Admin API for back ends (contract: `admin.graphql`, `admin-api.md`).
//!
//! A module holds one kind of thing: its GraphQL types, its inputs, and how they are read.

mod feature;
mod mutation;
mod package;
mod query;
mod subscription;
mod usage;
mod user;

use std::sync::Arc;

use async_graphql::{Context, EmptySubscription, Schema};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use kana_service::{Environment, Error, Kana, Unauthenticated};

use crate::error::ApiError;
use crate::graphql::Endpoint;
use mutation::Mutation;
use query::Query;

/// What the route holds.
struct AdminApi {
    kana: Arc<Kana>,
    endpoint: Endpoint<Query, Mutation>,
}

/// `/graphql`.
pub(crate) fn router(kana: &Arc<Kana>) -> Router {
    let api = AdminApi { kana: Arc::clone(kana), endpoint: Endpoint::new(schema()) };
    let methods: MethodRouter<Arc<AdminApi>> = get(answer).post(answer);
    Router::new().route("/graphql", methods).with_state(Arc::new(api))
}

/// The schema in its own language, as clients generate code from it.
#[must_use]
pub fn sdl() -> String {
    schema().sdl()
}

fn schema() -> Schema<Query, Mutation, EmptySubscription> {
    // The library's own limits stay off: ours are held before it validates anything.
    Schema::build(Query, Mutation, EmptySubscription).disable_suggestions().finish()
}

async fn answer(State(api): State<Arc<AdminApi>>, http: Request) -> Response {
    api.endpoint.respond(http, async |headers| authorise(&api.kana, headers).await).await
}

/// The environment of the private key in the `Authorization` header. `Bearer ` before the key is
/// allowed and not needed.
async fn authorise(kana: &Arc<Kana>, headers: &HeaderMap) -> Result<Environment, Error> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Unauthenticated::Missing.into());
    };
    let text = value.to_str().map_err(|_| Unauthenticated::Unknown)?.trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or_default();
    let key = if scheme.eq_ignore_ascii_case("bearer") { rest.trim_start() } else { text };
    if key.is_empty() {
        return Err(Unauthenticated::Missing.into());
    }
    kana.authorise_private(key).await
}

/// The environment that the request was authorised for.
fn environment<'a>(context: &Context<'a>) -> Result<&'a Environment, ApiError> {
    context
        .data_opt::<Environment>()
        .ok_or(ApiError::Service(Error::Bug("a resolver ran without an environment")))
}

/// An optional field read by one of the constructors that name it in their error.
fn read<T, U, E>(
    field: &'static str,
    value: Option<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, E>,
) -> Result<Option<U>, E> {
    value.map(|value| constructor(field, value)).transpose()
}
