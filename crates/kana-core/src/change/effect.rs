use crate::id::{FeatureId, PackageId, UserId};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::threshold::ThresholdEvent;

/// An effect that other programs can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The user that it is about, by the id after the change; `None` if it is about no user.
    pub user: Option<UserId>,
    /// What happened.
    pub effect: Effect,
}

impl Change {
    pub(crate) fn of_user(user: &UserId, effect: Effect) -> Self {
        Self { user: Some(user.clone()), effect }
    }
}

/// What happened. Each variant is a type of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// `user.created`.
    UserCreated,
    /// `user.updated`.
    UserUpdated {
        /// The fields whose values changed, by their names in the Admin API.
        changed: Vec<&'static str>,
        /// The earlier id, if the user has a new one.
        previous_id: Option<UserId>,
    },
    /// `user.deleted`, after all else that it changes.
    UserDeleted,
    /// `subscription.started`.
    SubscriptionStarted(Subscription),
    /// `subscription.updated`.
    SubscriptionUpdated {
        /// The subscription as it is now.
        subscription: Subscription,
        /// The subscription as it was before.
        previous: Subscription,
    },
    /// `subscription.ended`.
    SubscriptionEnded {
        /// The subscription as it is now.
        subscription: Subscription,
        /// The status that it had before.
        previous_status: SubscriptionStatus,
    },
    /// `entitlement.changed`: the features whose access, budget or overage differ; at least one.
    EntitlementChanged(Vec<EntitlementDifference>),
    /// `usage.threshold_reached`.
    ThresholdReached(Box<ThresholdEvent>),
    /// `feature.created`.
    FeatureCreated(FeatureId),
    /// `feature.updated`.
    FeatureUpdated(FeatureId),
    /// `feature.deleted`.
    FeatureDeleted(FeatureId),
    /// `package.created`.
    PackageCreated(PackageId),
    /// `package.updated`.
    PackageUpdated {
        /// The package.
        package: PackageId,
        /// The fields whose values changed, by their names in the Admin API.
        changed: Vec<&'static str>,
        /// The number of active subscribers, if what the package gives has changed.
        active_subscribers: Option<u64>,
    },
    /// `package.published`.
    PackagePublished(PackageId),
    /// `package.archived`.
    PackageArchived(PackageId),
    /// `package.deleted`.
    PackageDeleted(PackageId),
    /// `configuration.published`, after the changes that it consists of.
    ConfigurationPublished(PublishedCounts),
    /// `key.created`.
    KeyCreated(KeyName),
    /// `key.revoked`.
    KeyRevoked(KeyName),
    /// `token_secret.rotated`.
    TokenSecretRotated,
}

/// What a user may do with a feature before and after a command; `None` if nothing grants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntitlementDifference {
    /// The feature.
    pub feature: FeatureId,
    /// Before the command.
    pub before: Option<Grant>,
    /// After it.
    pub after: Option<Grant>,
}

/// What a user may do with a feature that is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Whether the user may use one more.
    pub access: bool,
    /// The limit; `None` for an unlimited or `BINARY` feature.
    pub budget: Option<i64>,
    /// Whether usage may go over the budget.
    pub overage_enabled: bool,
}

/// How many things a published configuration changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishedCounts {
    /// Features created, updated and deleted.
    pub features: [u64; 3],
    /// Packages created, updated, published, archived and deleted.
    pub packages: [u64; 5],
}

/// What people know a key by, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// Its number.
    pub id: i64,
    /// `private` or `public`.
    pub kind: &'static str,
    /// Its last four characters.
    pub last_four: String,
}

/// The names of all types of changes, including those of parts of the contract that come later.
pub const TYPES: [&str; 21] = [
    "user.created",
    "user.updated",
    "user.merged",
    "user.deleted",
    "subscription.started",
    "subscription.updated",
    "subscription.ended",
    "entitlement.changed",
    "usage.threshold_reached",
    "feature.created",
    "feature.updated",
    "feature.deleted",
    "package.created",
    "package.updated",
    "package.published",
    "package.archived",
    "package.deleted",
    "configuration.published",
    "key.created",
    "key.revoked",
    "token_secret.rotated",
];

impl Effect {
    /// Returns the name of the type, one of [`TYPES`].
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserUpdated { .. } => "user.updated",
            Self::UserDeleted => "user.deleted",
            Self::SubscriptionStarted(_) => "subscription.started",
            Self::SubscriptionUpdated { .. } => "subscription.updated",
            Self::SubscriptionEnded { .. } => "subscription.ended",
            Self::EntitlementChanged(_) => "entitlement.changed",
            Self::ThresholdReached(_) => "usage.threshold_reached",
            Self::FeatureCreated(_) => "feature.created",
            Self::FeatureUpdated(_) => "feature.updated",
            Self::FeatureDeleted(_) => "feature.deleted",
            Self::PackageCreated(_) => "package.created",
            Self::PackageUpdated { .. } => "package.updated",
            Self::PackagePublished(_) => "package.published",
            Self::PackageArchived(_) => "package.archived",
            Self::PackageDeleted(_) => "package.deleted",
            Self::ConfigurationPublished(_) => "configuration.published",
            Self::KeyCreated(_) => "key.created",
            Self::KeyRevoked(_) => "key.revoked",
            Self::TokenSecretRotated => "token_secret.rotated",
        }
    }
}

/// Returns the types that a filter names: a type (`subscription.started`), a group
/// (`subscription.*`) or all (`*`). `None` if it names none.
#[must_use]
pub fn types_named(filter: &str) -> Option<Vec<&'static str>> {
    let matches = |name: &&&'static str| match filter.strip_suffix('*') {
        Some("") => true,
        Some(group) => group.ends_with('.') && name.starts_with(group),
        None => **name == filter,
    };
    let named: Vec<&'static str> = TYPES.iter().filter(matches).copied().collect();
    (!named.is_empty()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_a_type_a_group_or_all() {
        assert_eq!(types_named("user.created"), Some(vec!["user.created"]));
        let package = types_named("package.*").unwrap();
        assert_eq!(package.len(), 5);
        assert_eq!(types_named("*").unwrap().len(), TYPES.len());
        for none in ["", "user", "user*", "user.", "User.created", "nobody.*", "**", ".*"] {
            assert_eq!(types_named(none), None, "{none}");
        }
    }
}
