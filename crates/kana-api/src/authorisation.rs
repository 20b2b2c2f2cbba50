//! The `Authorization` header (contract: `admin-api.md`, "Authorisation").

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use kana_service::{Environment, Error, Kana, Unauthenticated};

/// Returns the environment of the private key in the `Authorization` header.
pub(crate) async fn authorise(kana: &Arc<Kana>, headers: &HeaderMap) -> Result<Environment, Error> {
    kana.authorise_private(presented(headers, Unauthenticated::Missing)?).await
}

/// Returns the key or token in the `Authorization` header, or fails with `missing`. `Bearer `
/// before it is allowed and not needed.
pub(crate) fn presented(
    headers: &HeaderMap,
    missing: Unauthenticated,
) -> Result<&str, Unauthenticated> {
    let header = headers.get(header::AUTHORIZATION).map(HeaderValue::to_str).transpose();
    let presented = header.map_err(|_| Unauthenticated::Unknown)?.map_or("", without_bearer);
    if presented.is_empty() { Err(missing) } else { Ok(presented) }
}

fn without_bearer(header: &str) -> &str {
    let header = header.trim();
    match header.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        _ if header.eq_ignore_ascii_case("bearer") => "",
        _ => header,
    }
}
