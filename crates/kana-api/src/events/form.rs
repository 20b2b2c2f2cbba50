use axum::http::{HeaderMap, header};

use super::answer::Stop;

/// How events stand in a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/cloudevents+json`: one event.
    Event,
    /// `application/cloudevents-batch+json`: a JSON array of events.
    Batch,
    /// `application/x-ndjson`: an event a line.
    Lines,
}

impl Form {
    /// By the headers that describe the body.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Stop> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if text(header::CONTENT_ENCODING).is_some_and(|how| !how.eq_ignore_ascii_case("identity")) {
            return Err(Stop::unsupported("The request body must not be compressed"));
        }
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let mut parts = content_type.split(';').map(str::trim);
        let form = match &*parts.next().unwrap_or_default().to_ascii_lowercase() {
            "application/cloudevents+json" => Self::Event,
            "application/cloudevents-batch+json" => Self::Batch,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            _ if headers.contains_key("ce-specversion") => {
                return Err(Stop::unsupported(
                    "An event in ce- headers is not taken: send all of it as JSON, with the \
                     Content-Type application/cloudevents+json",
                ));
            }
            _ => {
                return Err(Stop::unsupported(
                    "The Content-Type header must be application/cloudevents+json, \
                     application/cloudevents-batch+json or application/x-ndjson",
                ));
            }
        };
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
        });
        if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
            return Err(Stop::unsupported("The request body must be encoded as UTF-8"));
        }
        Ok(form)
    }
}
