//! Checks of a request's head that hold on every path, beyond those of hyper.

use axum::http::{Request, Version, header};

/// Returns why a request cannot be taken, if it cannot. Of two headers with one name, a proxy before
/// the server could obey the other one.
pub(super) fn problem<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    if hosts.next().is_none() && request.version() == Version::HTTP_11 {
        return Some("The request has no Host header\n");
    }
    if hosts.next().is_some() {
        return Some("The request has more than one Host header\n");
    }
    if headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        return Some("The request has more than one Authorization header\n");
    }
    None
}
