//! The names of operations: the root fields of the schemas, and the calls beside GraphQL. A name of ours
//! becomes a number once, when a surface is set up, and is then counted without a look-up.

use std::sync::OnceLock;

/// The most names. More would all be [`Operation::OTHER`].
pub(crate) const OPERATIONS_MAX: usize = 160;

/// The names in the order in which they were added. Each is set once.
static NAMES: [OnceLock<Box<str>>; OPERATIONS_MAX] = [const { OnceLock::new() }; OPERATIONS_MAX];
/// The names that are known from the start.
const FIXED: [&str; 6] =
    ["other", "events", "cli_pull", "cli_validate", "cli_publish", "cli_simulate"];

/// The name of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation(u8);

impl Operation {
    /// What is no operation of ours, or could not be told.
    pub const OTHER: Self = Self(0);
    /// `POST /events`.
    pub const EVENTS: Self = Self(1);
    /// `GET /cli/pull`.
    pub const CLI_PULL: Self = Self(2);
    /// `POST /cli/validate`.
    pub const CLI_VALIDATE: Self = Self(3);
    /// `POST /cli/publish`.
    pub const CLI_PUBLISH: Self = Self(4);
    /// `POST /cli/simulate`.
    pub const CLI_SIMULATE: Self = Self(5);

    /// Returns the operation of a root field, and adds it if it is new. The name must be one of a schema,
    /// never one that a client chose.
    #[must_use]
    pub fn of_field(name: &str) -> Self {
        for (number, slot) in NAMES.iter().enumerate().skip(FIXED.len()) {
            if &**slot.get_or_init(|| name.into()) == name {
                return u8::try_from(number).map_or(Self::OTHER, Self);
            }
        }
        Self::OTHER
    }

    /// Returns all that are known.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let added = NAMES.iter().skip(FIXED.len()).take_while(|name| name.get().is_some()).count();
        (0..u8::MAX).take(FIXED.len() + added).map(Self)
    }

    /// Returns the name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let number = self.number();
        FIXED.get(number).copied().unwrap_or_else(|| {
            NAMES.get(number).and_then(OnceLock::get).map_or("other", |name| &**name)
        })
    }

    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_added_once_and_keeps_its_number() {
        let first = Operation::of_field("first");
        let second = Operation::of_field("second");
        assert_ne!(first, second);
        assert_eq!(Operation::of_field("first"), first);
        assert_eq!((first.name(), second.name()), ("first", "second"));
        for (operation, name) in [
            (Operation::OTHER, "other"),
            (Operation::EVENTS, "events"),
            (Operation::CLI_PUBLISH, "cli_publish"),
            (Operation::CLI_SIMULATE, "cli_simulate"),
        ] {
            assert_eq!(operation.name(), name);
        }
    }
}
