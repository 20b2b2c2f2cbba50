//! The reason of an answer about access, as a word for programs.

use async_graphql::Enum;
use kana_core::entitlement::Reason;

/// Why a user may or may not use a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ReasonCode")]
pub(crate) enum ReasonCode {
    /// Nothing grants it
    NotGranted,
    /// An override denies it
    Denied,
    /// It is BINARY and granted
    Granted,
    /// There is no limit
    Unlimited,
    /// It fits the budget
    WithinLimit,
    /// It is over the budget, which is allowed
    Overage,
    /// It is over the budget, which is not allowed
    LimitReached,
    /// A hold with this id is there already
    Held,
}

impl From<Reason> for ReasonCode {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotGranted => Self::NotGranted,
            Reason::Denied => Self::Denied,
            Reason::Granted => Self::Granted,
            Reason::Unlimited => Self::Unlimited,
            Reason::WithinLimit => Self::WithinLimit,
            Reason::Overage => Self::Overage,
            Reason::LimitReached => Self::LimitReached,
            Reason::Held => Self::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::resolver_utils::EnumType as _;

    use super::*;

    #[test]
    fn a_reason_has_the_same_code_in_the_rules_and_in_the_schema() {
        for reason in Reason::ALL {
            let code = ReasonCode::from(reason);
            let item = ReasonCode::items().iter().find(|item| item.value == code).unwrap();
            assert_eq!(item.name, reason.code());
        }
    }
}
