//! What the GraphQL surfaces share: how they read a body, and how they refuse a key.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use kana_graphql::RequestError;
use kana_http::body::RequestBody;
use kana_service::Error;

use crate::http_error::HttpError;

/// The most bytes of a request body.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Reads a whole body. Its memory is counted until `body` is dropped.
pub(crate) async fn read(body: &mut RequestBody) -> Result<Bytes, RequestError> {
    body.whole(BODY_BYTES_MAX).await.map_err(|error| {
        let error = HttpError::unreadable(&error, "The request body is larger than 1 MiB");
        RequestError::malformed(error.status, &error.body)
    })
}

/// Writes the refusal of a request that the endpoint did not see, with its status for every media type.
pub(crate) fn refuse(headers: &HeaderMap, HttpError { status, body }: HttpError) -> Response {
    kana_graphql::refusal(headers, &RequestError::malformed(status, &body))
}

/// Refuses a request whose key is not valid or could not be checked. As `application/json` such an
/// answer has status 200, except for an overload, which has 503 for every media type.
pub(crate) fn unauthorised(error: &Error) -> RequestError {
    let HttpError { status, body } = HttpError::from(error);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => RequestError::malformed(status, &body),
        status => RequestError::refused(status, &body),
    }
}
