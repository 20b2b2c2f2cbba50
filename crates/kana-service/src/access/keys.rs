//! The format and creation of keys (contract: `admin-api.md`, "Authorisation").

use kana_store::app::{EnvironmentKind, KeyHash, KeyKind};
use sha2::{Digest, Sha256};

/// The number of random characters of a key: 40 of 36 have over 200 bits, so a plain hash is enough.
const RANDOM_CHARS: usize = 40;
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A new key, to be shown once. It has no `Debug`, so that it cannot get into a log by mistake.
pub struct NewSecret(String);

impl NewSecret {
    /// Creates a key from the operating system's randomness.
    pub fn generate(environment: EnvironmentKind, kind: KeyKind) -> Result<Self, getrandom::Error> {
        Ok(Self(random_text(prefix(environment, kind).to_owned(), RANDOM_CHARS)?))
    }

    /// Returns the key itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns its last four characters, by which people recognise it.
    #[must_use]
    pub fn last_four(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// Returns its hash, which is stored.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        hash(&self.0)
    }
}

/// Adds random characters to `text`, from the operating system's randomness.
pub(crate) fn random_text(mut text: String, chars: usize) -> Result<String, getrandom::Error> {
    let full = text.len() + chars;
    let mut random = [0; 64];
    while text.len() < full {
        getrandom::fill(&mut random)?;
        // 252 is the largest multiple of 36. Bytes above it would favour some characters.
        let fair = random.iter().filter(|byte| **byte < 252);
        let chars = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 36)]));
        text.extend(chars.take(full - text.len()));
    }
    Ok(text)
}

fn prefix(environment: EnvironmentKind, kind: KeyKind) -> &'static str {
    match (kind, environment) {
        (KeyKind::Private, EnvironmentKind::Test) => "prv_test_",
        (KeyKind::Private, EnvironmentKind::Live) => "prv_live_",
        (KeyKind::Public, EnvironmentKind::Test) => "pub_test_",
        (KeyKind::Public, EnvironmentKind::Live) => "pub_live_",
    }
}

fn hash(text: &str) -> KeyHash {
    KeyHash(Sha256::digest(text.as_bytes()).into())
}

/// Returns the hash of a presented key; `None` if it does not look like a key.
pub(crate) fn hash_of_presented(presented: &str) -> Option<KeyHash> {
    let random = ["prv_test_", "prv_live_", "pub_test_", "pub_live_"]
        .iter()
        .find_map(|prefix| presented.strip_prefix(prefix))?;
    let well_formed = random.len() == RANDOM_CHARS
        && random.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    well_formed.then(|| hash(presented))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_says_what_it_opens_and_is_well_formed() {
        for (environment, kind, prefix) in [
            (EnvironmentKind::Test, KeyKind::Private, "prv_test_"),
            (EnvironmentKind::Live, KeyKind::Private, "prv_live_"),
            (EnvironmentKind::Test, KeyKind::Public, "pub_test_"),
            (EnvironmentKind::Live, KeyKind::Public, "pub_live_"),
        ] {
            let secret = NewSecret::generate(environment, kind).unwrap();
            assert!(secret.reveal().starts_with(prefix));
            assert!(secret.reveal().ends_with(secret.last_four()));
            assert_eq!(hash_of_presented(secret.reveal()), Some(secret.hash()));
            let another = NewSecret::generate(environment, kind).unwrap();
            assert_ne!(another.reveal(), secret.reveal());
        }
    }

    #[test]
    fn what_does_not_look_like_a_key_is_not_looked_up() {
        let good = format!("prv_test_{}", "a1".repeat(20));
        assert!(hash_of_presented(&good).is_some());
        for bad in [
            String::new(),
            "prv_test_".to_owned(),
            format!("{good}a"),
            good.to_uppercase(),
            good.replace("prv", "xyz"),
            format!("prv_test_{}", "é".repeat(20)),
        ] {
            assert!(hash_of_presented(&bad).is_none(), "{bad}");
        }
    }
}
