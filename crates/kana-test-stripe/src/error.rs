use serde_json::{Map, Value, json};

/// An error as Stripe answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
}

impl ApiError {
    fn new(
        status: u16,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        ApiError { status, kind, code, message: message.into(), param: None }
    }

    /// 400: the parameter named `param` is wrong.
    pub(crate) fn invalid(
        param: &str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        let error = Self::new(400, "invalid_request_error", code, message);
        ApiError { param: Some(param.to_owned()), ..error }
    }

    /// 400: the request is wrong as a whole.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", None, message)
    }

    /// 404: the object that the address names does not exist.
    pub(crate) fn no_such(what: &str, id: &str) -> Self {
        ApiError { status: 404, ..Self::no_such_named("id", what, id) }
    }

    /// 400: the object that a parameter names does not exist.
    pub(crate) fn no_such_named(param: &str, what: &str, id: &str) -> Self {
        Self::invalid(param, Some("resource_missing"), format!("No such {what}: '{id}'"))
    }

    /// 404: nothing is at this address.
    pub(crate) fn unknown_address(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(404, "invalid_request_error", None, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "invalid_request_error", None, message)
    }

    /// 403: the restricted key lacks `permission`.
    pub(crate) fn forbidden(key: &str, permission: &str) -> Self {
        let message = format!(
            "The provided key '{key}' does not have the required permissions for this endpoint. \
             Having the '{permission}' permission would allow this request to continue."
        );
        Self::new(403, "invalid_request_error", None, message)
    }

    pub(crate) fn idempotency(message: impl Into<String>) -> Self {
        Self::new(400, "idempotency_error", None, message)
    }

    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!("Another request with the idempotency key '{key}' is being worked.");
        Self::new(409, "invalid_request_error", Some("idempotency_key_in_use"), message)
    }

    pub(crate) fn too_many_requests() -> Self {
        let message = "Request rate limit exceeded.";
        Self::new(429, "invalid_request_error", Some("rate_limit"), message)
    }

    pub(crate) fn server() -> Self {
        Self::new(500, "api_error", None, "An unknown error occurred.")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, "invalid_request_error", None, "The request is too large.")
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("type".into(), self.kind.into());
        error.insert("message".into(), self.message.as_str().into());
        if let Some(code) = self.code {
            error.insert("code".into(), code.into());
        }
        if let Some(param) = &self.param {
            error.insert("param".into(), param.as_str().into());
        }
        json!({ "error": error })
    }
}
