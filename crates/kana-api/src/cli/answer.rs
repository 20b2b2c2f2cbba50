use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kana_core::Refusal;
use kana_core::catalog::CatalogVersion;
use kana_core::configuration::Problem;
use kana_core::configuration_plan::{Entry, Finding};
use kana_graphql::ErrorBody;
use kana_service::{Error, Validation};
use kana_telemetry::request::{self, Outcome};
use serde::Serialize;
use serde_json::json;

use super::version;
use super::written_entry::WrittenEntry;
use super::written_finding::WrittenFinding;
use crate::http_error::{HttpError, add_headers};

/// The answer of `/cli/pull` and `/cli/publish`: the environment's configuration.
pub(super) struct Configured(pub(super) kana_service::Configured);

impl IntoResponse for Configured {
    fn into_response(self) -> Response {
        let Self(kana_service::Configured { app, version, configuration }) = self;
        answer(StatusCode::OK, &configuration.to_json(&app), Some(version))
    }
}

/// The answer of `/cli/validate`. Old clients read only `data`.
#[derive(Serialize)]
pub(super) struct Validated {
    data: Vec<String>,
    findings: Vec<WrittenFinding>,
    entries: Vec<WrittenEntry>,
    changes: usize,
    #[serde(skip)]
    version: Option<CatalogVersion>,
}

impl Validated {
    /// Creates the answer for a configuration that is invalid by itself, so that it has no plan.
    pub(super) fn invalid(findings: Vec<Finding>) -> Self {
        Self::new(findings, Vec::new(), 0, None)
    }

    fn new(
        findings: Vec<Finding>,
        entries: Vec<Entry>,
        changes: usize,
        version: Option<CatalogVersion>,
    ) -> Self {
        let data = findings.iter().map(ToString::to_string).collect();
        let findings = findings.into_iter().map(WrittenFinding::from).collect();
        let entries = entries.into_iter().map(WrittenEntry::from).collect();
        Self { data, findings, entries, changes, version }
    }
}

impl From<Validation> for Validated {
    fn from(validation: Validation) -> Self {
        let Validation { version, changes, findings, entries } = validation;
        Self::new(findings, entries, changes, Some(version))
    }
}

impl IntoResponse for Validated {
    fn into_response(self) -> Response {
        answer(StatusCode::OK, &self, self.version)
    }
}

/// The answer to a call that failed and changed nothing.
pub(super) struct Failed(HttpError);

impl Failed {
    /// What became of the call.
    pub(super) fn outcome(&self) -> Outcome {
        Outcome::of_code(self.0.body.code)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(HttpError::from(&error))
    }
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Self {
        Self(error)
    }
}

impl From<Vec<Problem>> for Failed {
    fn from(problems: Vec<Problem>) -> Self {
        Error::Refused(Refusal::Configuration(problems)).into()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let HttpError { status, body } = self.0;
        let ErrorBody { code, name, message } = body;
        request::note_error(code);
        let mut response =
            answer(status, &json!({ "error": message, "code": code, "name": name }), None);
        add_headers(&mut response);
        response
    }
}

pub(super) fn answer(
    status: StatusCode,
    written: &impl Serialize,
    version: Option<CatalogVersion>,
) -> Response {
    let json = match serde_json::to_vec(written) {
        Ok(json) => json,
        Err(error) => {
            let message = ErrorBody::internal(&error).message;
            return (StatusCode::INTERNAL_SERVER_ERROR, message).into_response();
        }
    };
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], json).into_response();
    if let Some(tag) = version.and_then(version::tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
