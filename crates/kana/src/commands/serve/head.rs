//! What a request's head must have on every path, beyond what hyper checks.

use axum::http::{HeaderMap, HeaderName, Request, Version, header};

/// Returns why a request cannot be taken: a name that stands twice means one thing to a proxy and
/// another to us.
pub(super) fn problem<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    if stands_twice(headers, &header::HOST) {
        return Some("The request has more than one Host header\n");
    }
    if request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST) {
        return Some("The request has no Host header\n");
    }
    if stands_twice(headers, &header::AUTHORIZATION) {
        return Some("The request has more than one Authorization header\n");
    }
    None
}

fn stands_twice(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}
