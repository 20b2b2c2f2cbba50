//! Ids. Each kind is its own type, so that they cannot be mixed up.
//!
//! Feature, package and user ids are chosen by the product (contract: `admin-api.md`, "Values"):
//! 1 to 255 characters, no control characters, no leading or trailing space, compared exactly.

use std::fmt;
use std::sync::Arc;

use uuid::{Uuid, Variant};

use crate::invalid::InvalidValue;
use crate::timestamp::Timestamp;

/// The maximum length of a product's own id, in characters.
pub const ID_CHARS_MAX: usize = 255;

fn check(field: &'static str, text: &str) -> Result<(), InvalidValue> {
    let problem = if text.is_empty() {
        "must not be empty"
    } else if text.len() > ID_CHARS_MAX && text.chars().count() > ID_CHARS_MAX {
        "must have at most 255 characters"
    } else if text.chars().any(char::is_control) {
        "must not contain control characters"
    } else if text.trim() != text {
        "must not start or end with a space"
    } else {
        return Ok(());
    };
    Err(InvalidValue::new(field, problem))
}

macro_rules! product_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Creates an id. Fails if `text` breaks the bounds; the error names `field`.
            pub fn new(field: &'static str, text: &str) -> Result<Self, InvalidValue> {
                check(field, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// Returns the id as the product wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

product_id! {
    /// The id of a feature, unique within an environment.
    FeatureId
}
product_id! {
    /// The id of a package, unique within an environment.
    PackageId
}
product_id! {
    /// The product's id of a user, unique within an environment. It can change;
    /// [`UserKey`] cannot.
    UserId
}
product_id! {
    /// The id of a grant, unique for its user.
    GrantId
}
product_id! {
    /// The id of a hold, unique for its user.
    HoldId
}
product_id! {
    /// The key under which a caller can repeat a request safely, unique within an environment.
    IdempotencyKey
}

/// The permanent key of a user's facts. It stays when the [`UserId`] changes, and is shown nowhere but in
/// user tokens and exports.
///
/// Version 7 UUIDs grow with time, so their order is the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(pub Uuid);

impl UserKey {
    /// Returns when the user was created, to the millisecond, by the clock of the node that did it; `None`
    /// for a key of another version.
    #[must_use]
    pub fn created_at(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(Timestamp::from_ms(ms.saturating_add(i64::from(nanos / 1_000_000))))
    }
}

/// The id of a subscription. Kana chooses it; its order is the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub Uuid);

impl SubscriptionId {
    /// Returns what the counters and events of a user's grants have in the place of a subscription's id. It is
    /// a UUID of version 8, and of a variant that no override's id has.
    #[must_use]
    pub fn of_grants(user: UserKey) -> Self {
        let mut bytes = user.0.into_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x1f) | 0xc0;
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns true if it stands for the grants of a user.
    #[must_use]
    pub fn is_of_grants(self) -> bool {
        self.0.get_version_num() == 8 && self.0.get_variant() == Variant::Microsoft
    }

    /// Parses an id as [`Display`](fmt::Display) writes it. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok().map(Self)?;
        // Other spellings of a UUID (upper case, braces) are not the id that was handed out.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of an override. Kana chooses it; its order is the order of creation.
///
/// It is a UUID of version 8, so that the counters and events of an override can be told from those of a
/// subscription also when the override is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverrideId(pub Uuid);

impl OverrideId {
    /// Makes an id of one that grows with time.
    #[must_use]
    pub fn of(id: Uuid) -> Self {
        let mut bytes = id.into_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the id if it is that of an override, which counters and events have in the place of a
    /// subscription's.
    #[must_use]
    pub fn in_place_of(subscription: SubscriptionId) -> Option<Self> {
        let is_override = subscription.0.get_version_num() == 8 && !subscription.is_of_grants();
        is_override.then_some(Self(subscription.0))
    }
}

impl fmt::Display for OverrideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_free_within_their_bounds() {
        for good in ["api-calls", "/Measures", "a@b.co", "é", "a b", &"é".repeat(255)] {
            assert!(FeatureId::new("id", good).is_ok(), "{good}");
        }
        for (bad, problem) in [
            ("", "must not be empty"),
            (&*"x".repeat(256), "must have at most 255 characters"),
            (" a", "must not start or end with a space"),
            ("a\u{a0}", "must not start or end with a space"),
            ("a\tb", "must not contain control characters"),
            ("a\0", "must not contain control characters"),
        ] {
            assert_eq!(FeatureId::new("id", bad), Err(InvalidValue::new("id", problem)), "{bad}");
        }
    }

    #[test]
    fn an_override_is_told_from_a_subscription_by_its_id() {
        let subscription = SubscriptionId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let id = OverrideId::of(subscription.0);
        assert_eq!(id.to_string(), "01890a5d-ac96-874b-bcce-b302099a8057");
        assert_eq!(OverrideId::in_place_of(SubscriptionId(id.0)), Some(id));
        assert_eq!(OverrideId::in_place_of(subscription), None);
        let grants = SubscriptionId::of_grants(UserKey(subscription.0));
        assert_eq!(grants.to_string(), "01890a5d-ac96-874b-dcce-b302099a8057");
        assert!(grants.is_of_grants() && !subscription.is_of_grants());
        assert!(!SubscriptionId(id.0).is_of_grants());
        assert_eq!(OverrideId::in_place_of(grants), None);
    }

    #[test]
    fn a_subscription_id_has_one_spelling() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(SubscriptionId::parse(text).unwrap().to_string(), text);
        for other in [&text.to_uppercase(), &text.replace('-', ""), "124", ""] {
            assert_eq!(SubscriptionId::parse(other), None);
        }
    }
}
