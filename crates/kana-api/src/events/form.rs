use axum::http::{HeaderMap, header};

use crate::http_error::HttpError;

/// How events stand in a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/cloudevents+json`: one event.
    Event,
    /// `application/cloudevents-batch+json`: a JSON array of events.
    Batch,
    /// `application/x-ndjson`: an event a line.
    Lines,
    /// Any other JSON: the data of one event, whose attributes are in `ce-` headers.
    Data,
}

impl Form {
    /// By the headers that describe the body.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, HttpError> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .map_or("", |value| value.to_str().unwrap_or_default());
        let mut parts = content_type.split(';').map(str::trim);
        let form = match &*parts.next().unwrap_or_default().to_ascii_lowercase() {
            "application/cloudevents+json" => Self::Event,
            "application/cloudevents-batch+json" => Self::Batch,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            // A media type of CloudEvents means a whole event, and `ce-` headers are then ignored.
            other if !other.starts_with("application/cloudevents") && has_attributes(headers) => {
                if !other.is_empty() && !is_json(other) {
                    return Err(HttpError::unsupported(
                        "The data of an event in ce- headers must be JSON: send the Content-Type \
                         application/json",
                    ));
                }
                Self::Data
            }
            _ => {
                return Err(HttpError::unsupported(
                    "The Content-Type header must be application/cloudevents+json, \
                     application/cloudevents-batch+json or application/x-ndjson, or the event's \
                     attributes must be in ce- headers",
                ));
            }
        };
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
        });
        if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
            return Err(HttpError::unsupported("The request body must be encoded as UTF-8"));
        }
        Ok(form)
    }
}

/// Returns true if the headers contain attributes of an event.
fn has_attributes(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("ce-"))
}

/// Returns true if a media type is JSON by the definition of the CloudEvents specification.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').is_some_and(|(_, subtype)| {
        let subtype = subtype.to_ascii_lowercase();
        subtype == "json" || subtype.ends_with("+json")
    })
}
