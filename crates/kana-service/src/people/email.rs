//! E-mail addresses of admins.

use kana_core::refusal::InvalidValue;

/// The maximum length, in characters.
const CHARS_MAX: usize = 254;

/// An e-mail address. Two that differ in case only are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    /// As it was given.
    pub(crate) given: String,
    /// What is compared.
    pub(crate) folded: String,
}

impl Email {
    /// Reads an address. Whether mail arrives there is nobody's concern: it names an account.
    pub(crate) fn new(text: &str) -> Result<Self, InvalidValue> {
        let given = text.trim();
        let is_address = given.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
        let has_other = given.chars().any(|char| char.is_control() || char.is_whitespace());
        if !is_address || has_other {
            return Err(InvalidValue::new(
                "email",
                "must be an e-mail address like ada@example.com",
            ));
        }
        if given.chars().count() > CHARS_MAX {
            return Err(InvalidValue::new("email", "must have at most 254 characters"));
        }
        Ok(Self { given: given.to_owned(), folded: fold(given) })
    }
}

/// Checks an e-mail address. Returns it without the spaces around it.
pub fn check_email(text: &str) -> Result<String, InvalidValue> {
    Ok(Email::new(text)?.given)
}

/// Returns true if an admin may have an e-mail that folds to this. What may not is not looked up: not
/// every database takes every text.
pub(super) fn may_be_stored(folded: &str) -> bool {
    Email::new(folded).is_ok()
}

/// Returns the form of an address that is compared.
pub(crate) fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_host_and_is_compared_without_case() {
        let email = Email::new(" Ada@Example.COM ").unwrap();
        assert_eq!(
            (email.given.as_str(), email.folded.as_str()),
            ("Ada@Example.COM", "ada@example.com")
        );
        let long = format!("{}@b", "a".repeat(CHARS_MAX));
        for bad in ["", "ada", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a\0@b", &long] {
            let bad = bad.to_owned();
            assert!(Email::new(&bad).is_err() || bad.trim() != bad, "{bad:?}");
        }
    }
}
