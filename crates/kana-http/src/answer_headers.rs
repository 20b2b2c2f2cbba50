//! What every answer has, whichever route gave it (contract: `operations.md`, "Limits"): headers against
//! sniffing, leaking and keeping; and for an error without a body, a body that says what is wrong (RFC 9457).

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;

/// The media type of a problem.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// What every answer has that gives no other value.
pub(crate) const OF_EVERY_ANSWER: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// Adds to an answer what its route left out. `is_protected` says whether it leaves by TLS.
pub(crate) fn complete(response: Response, is_protected: bool) -> Response {
    if response.headers().contains_key(X_CONTENT_TYPE_OPTIONS) && !is_protected {
        // It has what it needs: an answer of an API, or a page with headers of its own.
        return response;
    }
    let has_body =
        response.headers().contains_key(CONTENT_TYPE) || !response.body().is_end_stream();
    let mut response = if has_body { response } else { explained(response) };
    let headers = response.headers_mut();
    for (name, value) in OF_EVERY_ANSWER {
        add(headers, name, value);
    }
    if is_protected {
        add(headers, STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if media_type.starts_with(b"text/html") {
        add(headers, CONTENT_SECURITY_POLICY, "frame-ancestors 'none'");
    }
    response
}

/// Refuses a request whose head is wrong.
pub(crate) fn bad_request(detail: &str) -> Response {
    let status = StatusCode::BAD_REQUEST;
    (status, [(CONTENT_TYPE, PROBLEM)], problem(status, "BAD_REQUEST", detail)).into_response()
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

/// Gives an error that has no body one. Other answers stay as they are.
fn explained(mut response: Response) -> Response {
    let status = response.status();
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("NOT_FOUND", "There is nothing at this path."),
        StatusCode::METHOD_NOT_ALLOWED => (
            "METHOD_NOT_ALLOWED",
            "This path does not take this method; Allow says which it takes.",
        ),
        _ => return response,
    };
    // The router has said that there is nothing.
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    *response.body_mut() = Body::from(problem(status, code, detail));
    response
}

/// Writes a problem. None of the texts has a character that JSON escapes.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> String {
    let (number, title) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    format!(
        r#"{{"type":"about:blank","title":"{title}","status":{number},"detail":"{detail}","code":"{code}"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(response: &Response, name: HeaderName) -> &str {
        response.headers()[name].to_str().unwrap()
    }

    #[test]
    fn an_answer_has_what_its_route_left_out_and_keeps_what_it_gave() {
        let plain = complete("ok".into_response(), false);
        assert_eq!(header(&plain, X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&plain, REFERRER_POLICY), "no-referrer");
        assert_eq!(header(&plain, CACHE_CONTROL), "no-store");
        assert!(!plain.headers().contains_key(CONTENT_SECURITY_POLICY));
        assert!(!plain.headers().contains_key(STRICT_TRANSPORT_SECURITY));
        let asset = ([(CACHE_CONTROL, "public"), (REFERRER_POLICY, "same-origin")], "x");
        let asset = complete(asset.into_response(), true);
        assert_eq!(header(&asset, CACHE_CONTROL), "public");
        assert_eq!(header(&asset, STRICT_TRANSPORT_SECURITY), "max-age=31536000");
        assert_eq!(header(&asset, REFERRER_POLICY), "same-origin");
        let page = complete(axum::response::Html("<p>").into_response(), false);
        assert_eq!(header(&page, CONTENT_SECURITY_POLICY), "frame-ancestors 'none'");
    }

    #[tokio::test]
    async fn an_error_without_a_body_gets_one_and_others_keep_theirs() {
        for (status, code) in [
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
        ] {
            let answer = complete((status, [(CONTENT_LENGTH, "0")]).into_response(), false);
            assert_eq!(header(&answer, CONTENT_TYPE), "application/problem+json");
            assert!(!answer.headers().contains_key(CONTENT_LENGTH));
            let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains(&format!(r#""status":{},"#, status.as_u16())), "{text}");
            assert!(text.ends_with(&format!(r#""code":"{code}"}}"#)), "{text}");
            let with_body = complete((status, "no").into_response(), false);
            assert_eq!(header(&with_body, CONTENT_TYPE), "text/plain; charset=utf-8");
        }
        let empty = complete(StatusCode::NO_CONTENT.into_response(), false);
        assert!(!empty.headers().contains_key(CONTENT_TYPE));
    }
}
