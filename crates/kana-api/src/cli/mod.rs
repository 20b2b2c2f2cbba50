//! Pricing as code over HTTP: the calls of the command line, under `/cli`
//! (contract: `cli.md`, "The REST calls"; `beyond.md`, "Replay").
//!
//! An environment's features and packages are one JSON object, which says the same as the file.
//! `ETag` names the version of the environment's catalog; a publish with `If-Match` happens only if
//! that is still the version.

mod answer;
mod json;
mod simulation;
mod version;
mod written_entry;
mod written_finding;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use kana_core::configuration::{Configuration, Place, Problem};
use kana_core::configuration_plan::Finding;
use kana_http::OwnTime;
use kana_http::body::{BodyMemory, ContentEncoding, RequestBody};
use kana_service::Kana;
use kana_telemetry::Surface;
use kana_telemetry::metrics::operations;
use kana_telemetry::operation::Operation;
use kana_telemetry::request::{self, Outcome};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::authorisation::authorise;
use crate::http_error::HttpError;
use crate::rate_limit::RateLimiting;
use answer::{Configured, Failed, Validated, answer};
use simulation::{Answer, Asked};

/// The most bytes of a configuration.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many configurations are read at the same time. Each may take many times its own size.
const READING_MAX: usize = 2;

/// What the routes hold.
struct CliApi {
    kana: Arc<Kana>,
    body_memory: Arc<BodyMemory>,
    /// Who has one may read a configuration.
    turns: Semaphore,
}

/// `/cli/pull`, `/cli/validate`, `/cli/publish` and `/cli/simulate`.
pub(crate) fn router(
    kana: &Arc<Kana>,
    body_memory: &Arc<BodyMemory>,
    limits: &RateLimiting,
) -> Router {
    let api = CliApi {
        kana: Arc::clone(kana),
        body_memory: Arc::clone(body_memory),
        turns: Semaphore::new(READING_MAX),
    };
    let routes = Router::new()
        .route(
            "/cli/pull",
            get(async |api, headers| noted(Operation::CLI_PULL, pull(api, headers)).await),
        )
        .route(
            "/cli/validate",
            post(async |api, http| noted(Operation::CLI_VALIDATE, validate(api, http)).await),
        )
        .route(
            "/cli/publish",
            post(async |api, http| noted(Operation::CLI_PUBLISH, publish(api, http)).await),
        )
        .route(
            "/cli/simulate",
            post(async |api, http| noted(Operation::CLI_SIMULATE, simulate(api, http)).await),
        )
        .with_state(Arc::new(api));
    limits.of_keys(kana, |_: &HeaderMap, error: HttpError| refuse(error), routes)
}

/// Writes the refusal of a call that was not looked at.
pub(crate) fn refuse(error: HttpError) -> Response {
    Failed::from(error).into_response()
}

/// Notes what became of a call, for the log.
async fn noted(
    operation: Operation,
    call: impl Future<Output = Result<Response, Failed>>,
) -> Result<Response, Failed> {
    let since = Instant::now();
    let answer = call.await;
    operations::took(operation, since.elapsed());
    request::note_operation(operation, answer.as_ref().err().map_or(Outcome::Ok, Failed::outcome));
    answer
}

async fn pull(State(api): State<Arc<CliApi>>, headers: HeaderMap) -> Result<Response, Failed> {
    let environment = authorise(&api.kana, &headers, Surface::Cli).await?;
    ContentEncoding::identity(&headers).map_err(HttpError::from)?;
    Ok(Configured(environment.configuration().await?).into_response())
}

/// Also a configuration that is invalid is answered with its findings.
async fn validate(State(api): State<Arc<CliApi>>, http: Request) -> Result<Response, Failed> {
    let (parts, body) = http.into_parts();
    let environment = authorise(&api.kana, &parts.headers, Surface::Cli).await?;
    let mut body = RequestBody::new(body, &api.body_memory);
    let text = whole(&mut body, &parts.headers).await?;
    let _turn = api.turns.acquire().await;
    let validated = match read(&text) {
        Ok(configuration) => environment.validate(&configuration).await?.into(),
        Err(problems) => Validated::invalid(problems.into_iter().map(Finding::refused).collect()),
    };
    Ok(validated.into_response())
}

async fn publish(State(api): State<Arc<CliApi>>, http: Request) -> Result<Response, Failed> {
    let (parts, body) = http.into_parts();
    let environment = authorise(&api.kana, &parts.headers, Surface::Cli).await?;
    let mut body = RequestBody::new(body, &api.body_memory);
    let text = whole(&mut body, &parts.headers).await?;
    let _turn = api.turns.acquire().await;
    let configuration = read(&text)?;
    let expected = version::expected(&parts.headers);
    Ok(Configured(environment.publish(configuration, expected).await?).into_response())
}

/// Counts recorded usage again, and changes nothing.
async fn simulate(State(api): State<Arc<CliApi>>, http: Request) -> Result<Response, Failed> {
    let (parts, body) = http.into_parts();
    let environment = authorise(&api.kana, &parts.headers, Surface::Cli).await?;
    let mut body = RequestBody::new(body, &api.body_memory);
    let text = whole(&mut body, &parts.headers).await?;
    let Asked { configuration, occurred } = {
        let _turn = api.turns.acquire().await;
        Asked::read(&text)?
    };
    drop((text, body));
    // The simulation has a limit of its own.
    if let Some(own_time) = parts.extensions.get::<OwnTime>() {
        own_time.take();
    }
    let simulated = environment.simulate(&configuration, occurred).await?;
    Ok(answer(StatusCode::OK, &Answer::from(simulated), None))
}

async fn whole(body: &mut RequestBody, headers: &HeaderMap) -> Result<bytes::Bytes, HttpError> {
    ContentEncoding::identity(headers)?;
    let too_large = "The configuration is larger than 8 MiB";
    body.whole(BODY_BYTES_MAX).await.map_err(|error| HttpError::unreadable(&error, too_large))
}

fn read(text: &[u8]) -> Result<Configuration, Vec<Problem>> {
    let value: Value = json::read(text).map_err(|error| {
        vec![Problem::new(Place::root(), format!("is no JSON that can be read: {error}"))]
    })?;
    Configuration::read(&value)
}
