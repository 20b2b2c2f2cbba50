//! Secrets of sessions and links. Only their hashes are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kana_store::people::SecretHash;
use sha2::{Digest, Sha256};

use crate::access::keys::random_text;

const SESSION_BYTES: usize = 32;
const TOKEN_CHARS: usize = 40;

/// The secret of a session, for its cookie. It has no `Debug`, so that it cannot get into a log by
/// mistake.
pub struct SessionSecret(String);

impl SessionSecret {
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SESSION_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> SecretHash {
        hash(&self.0)
    }
}

/// The token of a welcome link, which works once. It has no `Debug`.
pub struct WelcomeToken(String);

impl WelcomeToken {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self(random_text(String::new(), TOKEN_CHARS)?))
    }

    /// Returns the token itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> SecretHash {
        hash(&self.0)
    }
}

fn hash(text: &str) -> SecretHash {
    SecretHash(Sha256::digest(text.as_bytes()).into())
}

/// Returns the hash of a cookie; `None` if it does not look like a session's.
pub(super) fn hash_of_session(presented: &str) -> Option<SecretHash> {
    let bytes = URL_SAFE_NO_PAD.decode(presented).ok()?;
    (bytes.len() == SESSION_BYTES).then(|| hash(presented))
}

/// Returns the hash of a link's token; `None` if it does not look like one.
pub(super) fn hash_of_token(presented: &str) -> Option<SecretHash> {
    let is_well_formed = presented.len() == TOKEN_CHARS
        && presented.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    is_well_formed.then(|| hash(presented))
}

/// Derives the secret that a session's forms are known by. It says nothing about the cookie.
pub(super) fn csrf_secret(presented: &str) -> [u8; 32] {
    // A key of any length is taken.
    let mac = Hmac::<Sha256>::new_from_slice(presented.as_bytes());
    mac.map_or([0; 32], |mut mac| {
        mac.update(b"kana dashboard forms");
        mac.finalize().into_bytes().into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_known_again_by_their_hashes() {
        let (one, other) = (SessionSecret::generate().unwrap(), SessionSecret::generate().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(hash_of_session(one.reveal()), Some(one.hash()));
        assert_ne!(csrf_secret(one.reveal()), csrf_secret(other.reveal()));
        let token = WelcomeToken::generate().unwrap();
        assert_eq!(token.reveal().len(), TOKEN_CHARS);
        assert_eq!(hash_of_token(token.reveal()), Some(token.hash()));
        for bad in ["", "a", "é", &one.reveal()[1..], &format!("{}A", one.reveal())] {
            assert_eq!(hash_of_session(bad), None, "{bad}");
            assert_eq!(hash_of_token(bad), None, "{bad}");
        }
    }
}
