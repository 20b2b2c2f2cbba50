//! User tokens, which a back end creates for its user's browser (contract: `client-api.md`).

mod hs256;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kana_core::Timestamp;
use kana_core::id::{UserId, UserKey};
use kana_core::user::User;
use kana_store::app::{ClientAccess, EnvironmentKind, TokenSecret};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Unauthenticated;

const AUDIENCE: &str = "kana-client";
const ISSUER: &str = "kana";

/// The length of a secret in bytes: that of the hash.
const SECRET_BYTES: usize = 32;

/// The maximum length of a token, in bytes. An id of 255 characters, escaped and encoded, fits.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    /// `test` or `live`.
    environment: String,
    #[serde(rename = "userId")]
    user_id: String,
    /// The permanent key of the user, since the id can be another user's later.
    #[serde(rename = "userKey", skip_serializing_if = "Option::is_none")]
    user_key: Option<Uuid>,
    /// Seconds since 1970.
    iat: i64,
    /// Seconds since 1970.
    exp: i64,
}

/// Whom a token identifies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IssuedFor {
    /// The user's key; `None` in a token of a release that did not write it.
    key: Option<UserKey>,
    /// When the token was issued, to the second.
    at: Timestamp,
}

impl IssuedFor {
    /// Returns true if the token was issued for the user with this key, and not for one who had the id
    /// before.
    pub(crate) fn is(self, user: UserKey) -> bool {
        match (self.key, user.created_at()) {
            (Some(key), _) => key == user,
            (None, Some(created_at)) => self.at.as_ms() / 1000 >= created_at.as_ms() / 1000,
            (None, None) => true,
        }
    }
}

/// Creates a secret to sign with.
pub(crate) fn new_secret() -> Result<Vec<u8>, getrandom::Error> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// Returns the secret that signs new tokens, if there is one.
pub(crate) fn signing_secret(access: &ClientAccess) -> Option<&TokenSecret> {
    access.token_secrets.iter().find(|secret| secret.valid_until.is_none())
}

/// Creates a token that identifies a user until `expires_at`.
pub(crate) fn issue(
    secret: &TokenSecret,
    environment: EnvironmentKind,
    user: &User,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        aud: AUDIENCE.to_owned(),
        iss: ISSUER.to_owned(),
        environment: environment.name().to_owned(),
        user_id: user.id.as_str().to_owned(),
        user_key: Some(user.key.0),
        iat: now.as_ms().div_euclid(1000),
        exp: expires_at.as_ms().div_euclid(1000),
    };
    let header = Header::new(Algorithm::HS256);
    hs256::install();
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret.secret))
}

/// Returns the environment that a token claims to be for, unverified. It tells whose secrets to verify
/// the token with.
pub(crate) fn claimed_environment(token: &str) -> Result<EnvironmentKind, Unauthenticated> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Unauthenticated::InvalidToken);
    }
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode(token)
        .map_err(|_| Unauthenticated::InvalidToken)?
        .claims;
    match claims.environment.as_str() {
        "test" => Ok(EnvironmentKind::Test),
        "live" => Ok(EnvironmentKind::Live),
        _ => Err(Unauthenticated::InvalidToken),
    }
}

/// Verifies a token with the environment's secrets and the time. Returns the user's id, and whom it was
/// issued for.
pub(crate) fn verify(
    token: &str,
    environment: EnvironmentKind,
    access: &ClientAccess,
    now: Timestamp,
) -> Result<(UserId, IssuedFor), Unauthenticated> {
    hs256::install();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    // The time is checked below, against the clock that tests can set.
    validation.validate_exp = false;
    let good = |secret: &&TokenSecret| secret.valid_until.is_none_or(|until| now < until);
    for secret in access.token_secrets.iter().filter(good) {
        let key = DecodingKey::from_secret(&secret.secret);
        let claims = match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
            Ok(decoded) => decoded.claims,
            Err(error) if *error.kind() == ErrorKind::InvalidSignature => continue,
            Err(_) => return Err(Unauthenticated::InvalidToken),
        };
        if claims.environment != environment.name() {
            return Err(Unauthenticated::InvalidToken);
        }
        if claims.exp.saturating_mul(1000) <= now.as_ms() {
            return Err(Unauthenticated::ExpiredToken);
        }
        let user =
            UserId::new("userId", &claims.user_id).map_err(|_| Unauthenticated::InvalidToken)?;
        let at = Timestamp::from_ms(claims.iat.saturating_mul(1000));
        return Ok((user, IssuedFor { key: claims.user_key.map(UserKey), at }));
    }
    Err(Unauthenticated::InvalidToken)
}
