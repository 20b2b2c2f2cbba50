//! Usage in bulk, beside GraphQL: `POST /events` takes CloudEvents 1.0 (`docs/events.md`).
//!
//! The body has one of four [forms](form): one event, a JSON array of events ([`items`]), one
//! event per [line](lines), or the data of an event whose attributes are in the headers
//! ([`binary`]). It may be compressed. Each event is read on its own ([`event`],
//! [`key`]) and recorded in a batch with those around it ([`intake`]): while one batch is made
//! durable, the next is read. The [`answer`] counts all events and lists the refused ones.

mod answer;
mod binary;
mod event;
mod form;
mod intake;
mod items;
mod key;
mod lines;
mod sender;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use kana_http::body::{BodyMemory, ContentEncoding, RequestBody};
use kana_service::Kana;
use kana_telemetry::Surface;
use kana_telemetry::metrics::operations;
use kana_telemetry::operation::Operation;

use crate::authorisation::count;
use crate::http_error::HttpError;
use crate::rate_limit::RateLimiting;
use answer::Answer;
use form::Form;
use intake::Intake;
use lines::{Line, Lines};
use sender::{EventsApi, Sender};

/// The most bytes of a body that is one event.
const EVENT_BYTES_MAX: usize = 1024 * 1024;
const EVENT_TOO_LARGE: &str = "The request body is larger than 1 MiB";
/// The most bytes of a batch, which is held in memory.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most events of a batch.
const BATCH_EVENTS_MAX: usize = 10_000;
/// The most bytes of an event that is a line. The CloudEvents specification asks for no less.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How many decompressed bytes outside of events a stream of lines may have, beyond as many as are
/// in events. Compressed, they cost their sender next to nothing.
const EMPTY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many refused events of a stream are listed before it is stopped.
const REFUSED_MAX: usize = 1_000;
/// `/events`.
pub(crate) fn router(
    kana: &Arc<Kana>,
    body_memory: &Arc<BodyMemory>,
    limits: &RateLimiting,
) -> Router {
    let api = EventsApi::new(kana, body_memory);
    let refuse = |_: &HeaderMap, error: HttpError| refuse(error);
    limits.of_keys(kana, refuse, Router::new().route("/events", post(respond)).with_state(api))
}

/// Writes the refusal of a request of which no event was looked at.
pub(crate) fn refuse(error: HttpError) -> Response {
    Answer::from(error).into_response()
}

async fn respond(State(api): State<Arc<EventsApi>>, http: Request) -> Response {
    let (parts, body) = http.into_parts();
    let since = Instant::now();
    let authorised = Sender::authorise(api, &parts.headers).await;
    count(Surface::Events, authorised.as_ref().err());
    let sender = match authorised {
        Ok(sender) => sender,
        // The body of a sender without a valid key is not read.
        Err(error) => return refuse(HttpError::from(&error)),
    };
    let mut body = RequestBody::new(body, sender.body_memory());
    let answer = take(sender, &parts.headers, &mut body).await;
    operations::took(Operation::EVENTS, since.elapsed());
    answer.unwrap_or_else(Answer::from).into_response()
}

async fn take(
    sender: Sender,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Result<Answer, HttpError> {
    let form = Form::of(headers)?;
    body.unpack(ContentEncoding::identity_or_gzip(headers)?);
    match form {
        Form::Event => take_event(sender, body).await,
        Form::Batch => take_batch(sender, body).await,
        Form::Lines => Ok(take_lines(sender, body).await),
        Form::Data => take_data(sender, headers, body).await,
    }
}

/// A body that is malformed records nothing: it is read to its end first.
async fn take_event(sender: Sender, body: &mut RequestBody) -> Result<Answer, HttpError> {
    let text = whole(body, EVENT_BYTES_MAX, EVENT_TOO_LARGE).await?;
    Ok(take_all(sender, &[items::object(&text)?]).await)
}

/// Like [`take_event`], for an event whose attributes are in the headers.
async fn take_data(
    sender: Sender,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Result<Answer, HttpError> {
    let data = whole(body, EVENT_BYTES_MAX, EVENT_TOO_LARGE).await?;
    if !data.is_empty() {
        items::check_json(&data)?;
    }
    Ok(take_all(sender, &[&binary::in_json_format(headers, &data)?]).await)
}

/// The same of many.
async fn take_batch(sender: Sender, body: &mut RequestBody) -> Result<Answer, HttpError> {
    let too_large = "The request body is larger than 4 MiB: send more batches, or the events as \
                     lines, with the Content-Type application/x-ndjson";
    let text = whole(body, BATCH_BYTES_MAX, too_large).await?;
    Ok(take_all(sender, &items::array(&text, BATCH_EVENTS_MAX)?).await)
}

/// Reads a whole body. Fails with the message `too_large` if it has more than `bytes_max` bytes.
async fn whole(
    body: &mut RequestBody,
    bytes_max: usize,
    too_large: &str,
) -> Result<Bytes, HttpError> {
    body.whole(bytes_max).await.map_err(|error| HttpError::unreadable(&error, too_large))
}

async fn take_all(sender: Sender, events: &[&[u8]]) -> Answer {
    let mut intake = Intake::new(sender);
    for event in events {
        intake.take(event);
        intake.make_room().await;
        if intake.has_failed() {
            break;
        }
    }
    intake.finish(Ok(())).await
}

/// Takes events as they arrive, whatever follows them.
async fn take_lines(sender: Sender, body: &mut RequestBody) -> Answer {
    let mut intake = Intake::new(sender);
    let read = read_lines(&mut intake, body).await;
    intake.finish(read).await
}

async fn read_lines(intake: &mut Intake, body: &mut RequestBody) -> Result<(), HttpError> {
    let mut lines = Lines::new(LINE_BYTES_MAX);
    let (mut bytes, mut bytes_in_events) = (0_usize, 0_usize);
    loop {
        while let Some(line) = lines.next() {
            bytes_in_events = bytes_in_events.saturating_add(take_line(intake, line).await?);
            if intake.has_failed() {
                return Ok(());
            }
        }
        match intake.while_recording(body.next()).await {
            None => return Ok(()),
            Some(Ok(Some(frame))) => {
                bytes = bytes.saturating_add(frame.len());
                let empty = bytes.saturating_sub(bytes_in_events).saturating_sub(bytes_in_events);
                if body.is_compressed() && empty > EMPTY_BYTES_MAX {
                    return Err(HttpError::too_large(
                        "The request body has more than 4 MiB of blank or too long lines, once \
                         it is decompressed",
                    ));
                }
                lines.feed(frame);
            }
            Some(Ok(None)) => {
                if let Some(line) = lines.last() {
                    take_line(intake, line).await?;
                }
                return Ok(());
            }
            Some(Err(error)) => {
                // Even if it reads well: more of it may have been on its way.
                if lines.last().is_some() {
                    intake.refuse("The request body was cut within this event");
                }
                return Err(HttpError::from(&error));
            }
        }
    }
}

/// Takes the event of a line, if it has one. Returns how many bytes the event has.
async fn take_line(intake: &mut Intake, line: Line<'_>) -> Result<usize, HttpError> {
    if matches!(line, Line::Whole(text) if text.trim_ascii().is_empty()) {
        return Ok(0);
    }
    if intake.refused() >= REFUSED_MAX {
        return Err(HttpError::bad_request(format!(
            "More than {REFUSED_MAX} events were refused: those that follow the received ones were \
             not looked at"
        )));
    }
    let bytes = match line {
        Line::Whole(text) => {
            intake.take(text);
            text.len()
        }
        Line::TooLong => {
            intake.refuse(&format!("An event must have at most {LINE_BYTES_MAX} bytes"));
            0
        }
    };
    intake.make_room().await;
    Ok(bytes)
}
