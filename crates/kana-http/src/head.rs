//! Checks the head of every request, in addition to hyper's own checks.

use axum::http::{Request, Version, header};

/// Returns the reason to refuse a request, if there is one. A header that is given twice is
/// refused, since a proxy in front of the server may use the other value. The length of a body is among them, but
/// hyper has removed one of two, so `has_two_lengths` says what was seen before.
pub(crate) fn problem<B>(request: &Request<B>, has_two_lengths: bool) -> Option<&'static str> {
    if has_two_lengths {
        return Some("The request gives the length of its body twice.");
    }
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    if hosts.next().is_none() && request.version() == Version::HTTP_11 {
        return Some("The request has no Host header.");
    }
    if hosts.next().is_some() {
        return Some("The request has more than one Host header.");
    }
    if headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        return Some("The request has more than one Authorization header.");
    }
    None
}
