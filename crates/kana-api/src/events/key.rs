use std::fmt::Write as _;

use kana_core::id::IdempotencyKey;
use kana_core::refusal::InvalidValue;
use sha2::{Digest, Sha256};

/// The idempotency key of the event that a `source` knows by an `id`: `cloudevent`, the source and
/// the id, with a space between them; or, where the source has a space or the key would be none,
/// `cloudevent-sha256` and the SHA-256, in lower-case hexadecimal digits, of the source, a line
/// feed and the id. No two events have the same: the first form has one reading, since the source
/// ends with the first space, and so has what is hashed, since neither part has a line feed.
pub(super) fn idempotency_key(source: &str, id: &str) -> Result<IdempotencyKey, InvalidValue> {
    for (field, text) in [("source", source), ("id", id)] {
        if text.is_empty() {
            return Err(InvalidValue::new(field, "must not be empty"));
        }
    }
    if !source.contains(' ') {
        let plain = ["cloudevent ", source, " ", id].concat();
        if let Ok(key) = IdempotencyKey::new("id", &plain) {
            return Ok(key);
        }
    }
    for (field, text) in [("source", source), ("id", id)] {
        if text.chars().any(char::is_control) {
            return Err(InvalidValue::new(field, "must not contain control characters"));
        }
    }
    let hash = Sha256::new().chain_update(source).chain_update("\n").chain_update(id).finalize();
    let mut hashed = "cloudevent-sha256 ".to_owned();
    for byte in hash {
        // Writing to a string cannot fail.
        let _ = write!(hashed, "{byte:02x}");
    }
    IdempotencyKey::new("id", &hashed)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn key(source: &str, id: &str) -> String {
        idempotency_key(source, id).unwrap().as_str().to_owned()
    }

    #[test]
    fn a_key_is_readable_where_it_fits() {
        assert_eq!(key("/gateway", "a-1"), "cloudevent /gateway a-1");
        // As long as a key can be.
        let id = "é".repeat(255 - "cloudevent s ".len());
        assert_eq!(key("s", &id), format!("cloudevent s {id}"));
    }

    #[test]
    fn any_other_pair_has_the_key_that_the_documentation_says() {
        // printf '%s\n%s' 'my gateway' a-1 | sha256sum
        assert_eq!(
            key("my gateway", "a-1"),
            "cloudevent-sha256 \
             c8879a655774b7e86d7d31fdd1abc344bd6ca137156fda7f5008270fde3b81a0"
        );
        for (source, id) in [("s", "x".repeat(1000)), ("s", "a ".to_owned())] {
            let key = key(source, &id);
            assert!(key.starts_with("cloudevent-sha256 "), "{key}");
            assert_eq!(key.len(), "cloudevent-sha256 ".len() + 64);
        }
    }

    #[test]
    fn what_no_cloudevent_has_is_refused() {
        for (source, id, problem) in [
            ("", "a", "source must not be empty"),
            ("s", "", "id must not be empty"),
            ("s\n", "a", "source must not contain control characters"),
            ("s", "a\u{0}", "id must not contain control characters"),
            ("s s", "\u{85}", "id must not contain control characters"),
        ] {
            assert_eq!(idempotency_key(source, id).unwrap_err().to_string(), problem);
        }
    }

    proptest! {
        #[test]
        fn no_two_pairs_share_a_key(
            pairs in prop::collection::vec(("[a b]{1,5}|sha256", "[a b]{1,5}|[ab]{240}"), 1..50),
        ) {
            let mut keys = HashMap::new();
            for pair in pairs {
                let earlier = keys.insert(key(&pair.0, &pair.1), pair.clone());
                prop_assert!(earlier.is_none_or(|earlier| earlier == pair));
            }
        }
    }
}
