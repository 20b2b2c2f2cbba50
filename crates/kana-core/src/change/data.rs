//! The object `data` of a change, as JSON text.

use serde::{Serialize, Serializer};

use super::{Effect, EntitlementDifference, Grant, KeyName, PublishedCounts};
use crate::id::UserId;
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::threshold::{Threshold, ThresholdEvent};
use crate::timestamp::Timestamp;

/// The maximum size of `data`, in bytes. A whole change has at most 20 KiB, of which less than 2 KiB
/// are around `data`.
pub const DATA_BYTES_MAX: usize = 18 * 1024;

/// The object `data` of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<ShownSubscription<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Vec<ShownDifference<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_id: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    reached: Option<ShownThreshold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_four: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<&'a [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_subscribers: Option<u64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    published: Option<ShownCounts>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSubscription<'a> {
    #[serde(serialize_with = "displayed")]
    id: crate::id::SubscriptionId,
    package_id: &'a str,
    status: &'static str,
    #[serde(serialize_with = "displayed")]
    started_at: Timestamp,
    #[serde(serialize_with = "displayed_if_any")]
    ended_at: Option<Timestamp>,
    /// Left out of a subscription that was never for anything but one.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u32>,
    /// Left out where there is none, like the next one.
    #[serde(serialize_with = "displayed_if_any", skip_serializing_if = "Option::is_none")]
    cancel_at: Option<Timestamp>,
    #[serde(serialize_with = "displayed_if_any", skip_serializing_if = "Option::is_none")]
    trial_ends_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownDifference<'a> {
    feature_id: &'a str,
    before: Option<ShownGrant>,
    after: Option<ShownGrant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownGrant {
    access: bool,
    /// Digits, since JSON's numbers are not exact everywhere.
    #[serde(serialize_with = "displayed_if_any")]
    budget: Option<i64>,
    overage_enabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownThreshold {
    threshold: Threshold,
    #[serde(serialize_with = "displayed")]
    used: i64,
    #[serde(serialize_with = "displayed_if_any")]
    budget: Option<i64>,
    overage_enabled: bool,
    #[serde(serialize_with = "displayed")]
    period_start: Timestamp,
    #[serde(serialize_with = "displayed_if_any")]
    period_end: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownCounts {
    features_created: u64,
    features_updated: u64,
    features_deleted: u64,
    packages_created: u64,
    packages_updated: u64,
    packages_published: u64,
    packages_archived: u64,
    packages_deleted: u64,
}

fn displayed<S: Serializer>(value: impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&value)
}

fn displayed_if_any<T: std::fmt::Display, S: Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

impl Effect {
    /// Returns the object `data` as JSON text of at most [`DATA_BYTES_MAX`] bytes. A list that is too
    /// long is cut; then `truncated` is true.
    #[must_use]
    pub fn data_json(&self) -> String {
        let mut data = Data::of(self);
        let mut json = json(&data);
        while json.len() > DATA_BYTES_MAX {
            let Some(features) = data.features.as_mut().filter(|list| !list.is_empty()) else {
                break;
            };
            // As many as fit if all are of average length, and always fewer than now.
            let kept = features.len() * DATA_BYTES_MAX / json.len();
            features.truncate(kept.min(features.len() - 1));
            data.truncated = true;
            json = self::json(&data);
        }
        json
    }
}

fn json(data: &Data<'_>) -> String {
    // Only maps with keys that are no text, and types that refuse, fail; there are none here.
    serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned())
}

impl<'a> Data<'a> {
    fn of(effect: &'a Effect) -> Self {
        let none = Self::default();
        match effect {
            Effect::UserCreated | Effect::UserDeleted | Effect::TokenSecretRotated => none,
            Effect::UserUpdated { changed, previous_id } => Self {
                changed: Some(changed),
                previous_id: previous_id.as_ref().map(UserId::as_str),
                ..none
            },
            Effect::SubscriptionStarted(subscription) => {
                Self { subscription: Some(shown(subscription)), ..none }
            }
            Effect::SubscriptionUpdated { subscription, previous } => Self {
                subscription: Some(shown(subscription)),
                previous_status: (subscription.status != previous.status)
                    .then(|| status_name(previous.status)),
                ..none
            },
            Effect::SubscriptionEnded { subscription, previous_status } => Self {
                subscription: Some(shown(subscription)),
                previous_status: (subscription.status != *previous_status)
                    .then(|| status_name(*previous_status)),
                ..none
            },
            Effect::EntitlementChanged(differences) => {
                Self { features: Some(differences.iter().map(difference).collect()), ..none }
            }
            Effect::ThresholdReached(event) => Self {
                feature_id: Some(event.feature.as_str()),
                reached: Some(reached(event)),
                ..none
            },
            Effect::FeatureCreated(id)
            | Effect::FeatureUpdated(id)
            | Effect::FeatureDeleted(id) => Self { feature_id: Some(id.as_str()), ..none },
            Effect::PackageCreated(id)
            | Effect::PackagePublished(id)
            | Effect::PackageArchived(id)
            | Effect::PackageDeleted(id) => Self { package_id: Some(id.as_str()), ..none },
            Effect::PackageUpdated { package, changed, active_subscribers } => Self {
                package_id: Some(package.as_str()),
                changed: Some(changed),
                active_subscribers: *active_subscribers,
                ..none
            },
            Effect::ConfigurationPublished(counts) => {
                Self { published: Some(counts.shown()), ..none }
            }
            Effect::KeyCreated(key) | Effect::KeyRevoked(key) => {
                let KeyName { id, kind, last_four } = key;
                Self {
                    key_id: Some(*id),
                    kind: Some(*kind),
                    last_four: Some(last_four.as_str()),
                    ..none
                }
            }
        }
    }
}

impl PublishedCounts {
    fn shown(self) -> ShownCounts {
        let [features_created, features_updated, features_deleted] = self.features;
        let [
            packages_created,
            packages_updated,
            packages_published,
            packages_archived,
            packages_deleted,
        ] = self.packages;
        ShownCounts {
            features_created,
            features_updated,
            features_deleted,
            packages_created,
            packages_updated,
            packages_published,
            packages_archived,
            packages_deleted,
        }
    }
}

fn shown(subscription: &Subscription) -> ShownSubscription<'_> {
    let quantities = &subscription.quantities;
    ShownSubscription {
        id: subscription.id,
        package_id: subscription.package.as_str(),
        status: status_name(subscription.status),
        started_at: subscription.started_at,
        ended_at: subscription.ended_at,
        quantity: (!quantities.is_always_one()).then(|| quantities.current().get()),
        cancel_at: subscription.cancel_at(),
        trial_ends_at: subscription.timing.trial_ends_at,
    }
}

fn difference(difference: &EntitlementDifference) -> ShownDifference<'_> {
    ShownDifference {
        feature_id: difference.feature.as_str(),
        before: difference.before.map(grant),
        after: difference.after.map(grant),
    }
}

fn reached(event: &ThresholdEvent) -> ShownThreshold {
    let &ThresholdEvent { threshold, period, consumption, .. } = event;
    ShownThreshold {
        threshold,
        used: consumption.used,
        budget: consumption.budget,
        overage_enabled: consumption.overage_enabled,
        period_start: period.start,
        period_end: period.end,
    }
}

fn grant(grant: Grant) -> ShownGrant {
    let Grant { access, budget, overage_enabled } = grant;
    ShownGrant { access, budget, overage_enabled }
}

/// Returns the name of a status in the Admin API.
pub(super) fn status_name(status: SubscriptionStatus) -> &'static str {
    match status {
        SubscriptionStatus::Active => "ACTIVE",
        SubscriptionStatus::Trialing => "TRIALING",
        SubscriptionStatus::Cancelled => "CANCELLED",
        SubscriptionStatus::PastDue => "PAST_DUE",
        SubscriptionStatus::Unpaid => "UNPAID",
        SubscriptionStatus::Incomplete => "INCOMPLETE",
        SubscriptionStatus::IncompleteExpired => "INCOMPLETE_EXPIRED",
    }
}
