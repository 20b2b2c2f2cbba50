//! The Admin API for back ends (contract: `admin.graphql`, `admin-api.md`).
//!
//! A module holds one kind of thing: its GraphQL types, its inputs, and how they are read.
//!
//! A nullable field that can fail is an `Option<Result<…>>`: the library makes it null then, and
//! would carry the error of a `Result<Option<…>>` to the parent.

mod connection;
mod console;
mod feature;
mod feed;
mod mutation;
mod package;
mod plan;
mod query;
mod subscription;
mod usage;
mod user;

use std::sync::Arc;

use async_graphql::{Context, EmptySubscription, MaybeUndefined, Schema, SchemaBuilder};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use kana_core::edit::Edit;
use kana_core::metadata::{Label, Metadata};
use kana_core::refusal::InvalidValue;
use kana_service::{Environment, Error, Kana, Unauthenticated};

use crate::body_memory::BodyMemory;
use crate::error::ApiError;
use crate::graphql::scalars::Json;
use crate::graphql::{AnswerBudget, Endpoint, presented};
use mutation::Mutation;
use plan::UsagePlan;
use query::Query;

/// What the route holds.
struct AdminApi {
    kana: Arc<Kana>,
    endpoint: Endpoint<Query, Mutation, UsagePlan>,
}

/// `/graphql`.
pub(crate) fn router(
    kana: &Arc<Kana>,
    body_memory: &Arc<BodyMemory>,
    answers: &Arc<AnswerBudget>,
) -> Router {
    let endpoint = Endpoint::new(builder, body_memory, answers);
    let api = AdminApi { kana: Arc::clone(kana), endpoint };
    let methods: MethodRouter<Arc<AdminApi>> = get(answer).post(answer);
    Router::new()
        .route("/graphql", methods)
        .route("/graphql/console.js", get(console::script))
        .route("/graphql/console.css", get(console::style))
        .with_state(Arc::new(api))
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
    api.endpoint.respond(http, async |headers| authorise(&api.kana, headers).await).await
}

/// The environment of the private key in the `Authorization` header.
pub(crate) async fn authorise(kana: &Arc<Kana>, headers: &HeaderMap) -> Result<Environment, Error> {
    kana.authorise_private(presented(headers, Unauthenticated::Missing)?).await
}

/// The environment that the request was authorised for.
fn environment<'a>(context: &Context<'a>) -> Result<&'a Environment, ApiError> {
    context
        .data_opt::<Environment>()
        .ok_or(ApiError::Service(Error::Bug("a resolver ran without an environment")))
}

/// What an update does to a value that it can clear: absent leaves it, null clears it.
fn read_edit<T, U>(
    field: &'static str,
    value: MaybeUndefined<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, InvalidValue>,
) -> Result<Edit<U>, InvalidValue> {
    Ok(match value {
        MaybeUndefined::Undefined => Edit::Keep,
        MaybeUndefined::Null => Edit::Clear,
        MaybeUndefined::Value(value) => Edit::Set(constructor(field, value)?),
    })
}

/// What an update does to a value that is always there: null is an error.
fn read_change<T, U>(
    field: &'static str,
    value: MaybeUndefined<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, InvalidValue>,
) -> Result<Option<U>, InvalidValue> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Err(InvalidValue::new(field, "cannot be cleared: leave it out")),
        MaybeUndefined::Value(value) => constructor(field, value).map(Some),
    }
}

/// A label as it arrives.
#[expect(clippy::needless_pass_by_value, reason = "a constructor for `read_edit`")]
fn label(field: &'static str, text: String) -> Result<Label, InvalidValue> {
    Label::new(field, &text)
}

/// Metadata as it arrives.
fn metadata(field: &'static str, json: Json) -> Result<Metadata, InvalidValue> {
    Metadata::new(field, json.0)
}

/// An optional field read by one of the constructors that name it in their error.
fn read<T, U, E>(
    field: &'static str,
    value: Option<T>,
    constructor: impl FnOnce(&'static str, T) -> Result<U, E>,
) -> Result<Option<U>, E> {
    value.map(|value| constructor(field, value)).transpose()
}
