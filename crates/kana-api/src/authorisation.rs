//! The `Authorization` header (contract: `admin-api.md`, "Authorisation").

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use kana_http::decoded;
use kana_service::{ClientUser, Environment, Error, Kana, Unauthenticated};
use kana_telemetry::Surface;
use kana_telemetry::metrics::access::{self, Authentication};

/// Who the user is, when a public key opens the door.
pub(crate) const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Returns the environment of the private key in the `Authorization` header.
pub(crate) async fn authorise(
    kana: &Arc<Kana>,
    headers: &HeaderMap,
    surface: Surface,
) -> Result<Environment, Error> {
    let authorised = uncounted(kana, headers).await;
    count(surface, authorised.as_ref().err());
    authorised
}

/// Does what [`authorise`] does, for who only looks whose request it is.
pub(crate) async fn uncounted(kana: &Arc<Kana>, headers: &HeaderMap) -> Result<Environment, Error> {
    kana.authorise_private(presented(headers, Unauthenticated::Missing)?).await
}

/// The user of a user token, or the one that the holder of a public key names.
pub(crate) async fn client_user(
    kana: &Arc<Kana>,
    headers: &HeaderMap,
) -> Result<ClientUser, Error> {
    let presented = presented(headers, Unauthenticated::MissingForClient)?;
    if presented.starts_with("prv_") {
        return Err(Unauthenticated::PrivateKeyInBrowser.into());
    }
    // No token starts like a key: its first letters are those of a JSON object in Base64.
    if !presented.starts_with("pub_") {
        return kana.authorise_token(presented).await;
    }
    let user = headers.get(USER_ID).map(|id| decoded(id.as_bytes()));
    kana.authorise_public(presented, user.as_deref()).await
}

/// Counts an authentication that succeeded, or failed with this error. One that could not be decided is
/// none.
pub(crate) fn count(surface: Surface, error: Option<&Error>) {
    let result = match error {
        None => Authentication::Ok,
        Some(Error::Unauthenticated(unauthenticated)) => match unauthenticated {
            Unauthenticated::Missing
            | Unauthenticated::MissingForClient
            | Unauthenticated::UserIdMissing => Authentication::Missing,
            Unauthenticated::Unknown | Unauthenticated::InvalidToken => Authentication::Unknown,
            Unauthenticated::ExpiredKey | Unauthenticated::ExpiredToken => Authentication::Expired,
            Unauthenticated::PublicKey
            | Unauthenticated::PrivateKeyInBrowser
            | Unauthenticated::SimpleModeOff => Authentication::WrongKind,
        },
        Some(_) => return,
    };
    access::authenticated(surface, result);
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
