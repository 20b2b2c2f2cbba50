use serde_json::Value;

use crate::error::ApiError;

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Reply { status, headers, body: format!("{body:#}") }
    }

    /// A page for people.
    pub(crate) fn page(status: u16, body: String) -> Self {
        let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
        Reply { status, headers, body }
    }

    /// Sends the browser somewhere else.
    pub(crate) fn see_other(url: &str) -> Self {
        Reply { status: 303, headers: vec![("location", url.to_owned())], body: String::new() }
    }

    /// What something between the client and Stripe answers.
    pub(crate) fn html() -> Self {
        let headers = vec![("content-type", "text/html".to_owned())];
        Reply {
            status: 503,
            headers,
            body: "<html><body><h1>Service Unavailable</h1></body></html>".into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Result<Value, ApiError>> for Reply {
    fn from(result: Result<Value, ApiError>) -> Self {
        match result {
            Ok(answer) => Reply::json(200, &answer),
            Err(error) => Reply::from(&error),
        }
    }
}

impl From<&ApiError> for Reply {
    fn from(error: &ApiError) -> Self {
        Reply::json(error.status, &error.body())
    }
}
