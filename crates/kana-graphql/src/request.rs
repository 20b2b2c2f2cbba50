use axum::body::Bytes;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::error::{ErrorBody, RequestError};
use crate::exact::{self, Problem, Unkept};

/// A well-formed GraphQL request, whatever it asks for.
pub(crate) struct GraphqlRequest {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Map<String, Value>,
    pub(crate) variables_text: VariablesText,
}

/// The JSON that the variables were read from.
pub(crate) struct VariablesText {
    json: Bytes,
    /// Whether the JSON is the whole body, the variables one field of it.
    is_body: bool,
    /// Whether it has a number that was parsed as a double.
    has_double: bool,
}

impl VariablesText {
    /// Returns the first number within these variables that cannot be kept exactly.
    pub(crate) fn problem(&self, variables: &Map<String, Value>) -> Option<Problem> {
        if !self.has_double {
            return None;
        }
        exact::problem_in_json(&self.json, |problem| {
            let name = match problem.path.as_slice() {
                [field, name, ..] if self.is_body => (field == "variables").then_some(name),
                [name, ..] if !self.is_body => Some(name),
                _ => None,
            };
            name.is_some_and(|name| variables.contains_key(name))
        })
    }

    /// Returns the path of a problem within the variables. It starts with a variable's name.
    pub(crate) fn path<'p>(&self, problem: &'p Problem) -> &'p [String] {
        problem.path.get(usize::from(self.is_body)..).unwrap_or_default()
    }
}

fn malformed(message: impl Into<String>) -> RequestError {
    RequestError::malformed(StatusCode::BAD_REQUEST, &ErrorBody::bad_request(message))
}

/// Says why a text could not be read: valid JSON can have numbers that are too large for the
/// reader, or nest too deep for it.
fn unreadable(otherwise: &str, text: &[u8], error: &serde_json::Error) -> RequestError {
    let stopped = |problem: &Problem| !matches!(problem.what, Unkept::Inexact { .. });
    let is_json = serde_json::from_slice::<IgnoredAny>(text).is_ok();
    match exact::problem_in_json(text, stopped).filter(|_| is_json) {
        Some(problem) => malformed(problem.to_string()),
        None => malformed(format!("{otherwise}: {error}")),
    }
}

impl GraphqlRequest {
    /// Reads a request. `body` is its body, or why that could not be read.
    pub(crate) fn read(
        head: &Parts,
        body: Result<Bytes, RequestError>,
        by_get: bool,
    ) -> Result<Self, RequestError> {
        if by_get {
            check_encoding(&head.headers)?;
            return Self::from_query_string(&head.uri);
        }
        check_content_type(&head.headers)?;
        let body = body?;
        if body.is_empty() {
            return Err(malformed(
                "The request body is empty: send a JSON object with \"query\" and \"variables\"",
            ));
        }
        let read = kana_json::parse_bytes(&body)
            .map_err(|error| unreadable("The request body is not valid JSON", &body, &error))?;
        match read {
            Value::Object(fields) => Self::from_fields(fields, body),
            Value::Array(_) => Err(malformed(
                "The request body is a JSON array: send one request at a time, as an object",
            )),
            _ => Err(malformed("The request body must be a JSON object")),
        }
    }

    fn from_query_string(uri: &Uri) -> Result<Self, RequestError> {
        let Query(parameters) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| malformed(format!("The query string is malformed: {error}")))?;
        let text = |(name, value)| (name, Value::String(value));
        let mut fields: Map<String, Value> = parameters.into_iter().map(text).collect();
        // In a query string, absent and empty cannot be body apart.
        fields.retain(|_, value| value != "");
        // Everything in a query string is text; what should be an object is JSON in it.
        if let Some(Value::String(extensions)) = fields.get("extensions") {
            let extensions = kana_json::parse(extensions)
                .map_err(|error| malformed(format!("extensions is not valid JSON: {error}")))?;
            fields.insert("extensions".to_owned(), extensions);
        }
        Self::from_fields(fields, Bytes::new())
    }

    /// `body` is the JSON that the fields stand in, where there is one.
    fn from_fields(mut fields: Map<String, Value>, body: Bytes) -> Result<Self, RequestError> {
        let query = match fields.remove("query") {
            Some(Value::String(query)) => query,
            None | Some(Value::Null) => return Err(malformed("query is missing")),
            Some(_) => return Err(malformed("query must be a string")),
        };
        let operation_name = match fields.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
            Some(_) => return Err(malformed("operationName must be a string")),
        };
        let mut variables_text = VariablesText { json: body, is_body: true, has_double: false };
        // Documented examples send the variables as a string that holds an object.
        let variables = match fields.remove("variables") {
            Some(Value::String(text)) if text.trim().is_empty() => Value::Null,
            Some(Value::String(text)) => {
                let read = kana_json::parse(&text).map_err(|error| {
                    let what = "variables is a string, but not valid JSON";
                    unreadable(what, text.as_bytes(), &error)
                })?;
                variables_text =
                    VariablesText { json: text.into(), is_body: false, has_double: false };
                read
            }
            other => other.unwrap_or_default(),
        };
        let variables = match variables {
            Value::Null => Map::new(),
            Value::Object(variables) => variables,
            _ => {
                return Err(malformed(
                    "variables must be a JSON object or a string that holds one",
                ));
            }
        };
        variables_text.has_double = variables.values().any(exact::has_double);
        match fields.remove("extensions") {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return Err(malformed("extensions must be a JSON object")),
        }
        Ok(Self { query, operation_name, variables, variables_text })
    }
}

fn unsupported(message: impl Into<String>) -> RequestError {
    RequestError::malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, &ErrorBody::bad_request(message))
}

/// Fails if the body is compressed.
fn check_encoding(headers: &HeaderMap) -> Result<(), RequestError> {
    let is_identity = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
    let is_plain = |value: &HeaderValue| {
        value.to_str().is_ok_and(|names| names.split(',').map(str::trim).all(is_identity))
    };
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    Err(unsupported("The Content-Encoding is not supported: send the request body uncompressed"))
}

/// Fails unless the headers say that the body is uncompressed JSON.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), RequestError> {
    check_encoding(headers)?;
    let refuse = |message: &str| Err(unsupported(message));
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return refuse("The Content-Type header is missing: send application/json");
    };
    let content_type = content_type.to_str().unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return refuse("The Content-Type header must be application/json");
    }
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"'))
    });
    if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return refuse("The request body must be encoded as UTF-8");
    }
    Ok(())
}
