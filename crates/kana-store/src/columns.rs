//! The format of values in columns, the same in every engine: enums by the contract's names, instants
//! as milliseconds, JSON as text.

use std::collections::{BTreeMap, HashMap};

use kana_core::catalog::{PackageStatus, Stacking};
use kana_core::counter::{CounterValue, Marks};
use kana_core::id::{FeatureId, PackageId};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::subscription::SubscriptionStatus;
use kana_core::terms::{Terms, TermsHistory};
use kana_core::usage::{LoggedAction, UsageAction};

use crate::app::{EnvironmentKind, KeyKind};
use crate::error::StoreError;
use crate::people::Role;

/// A value that is stored by its name.
pub(crate) trait Named: Sized + Copy + PartialEq + 'static {
    /// What the column holds, for the error about an unknown name.
    const COLUMN: &'static str;
    /// Every value with its name.
    const NAMES: &'static [(Self, &'static str)];

    fn to_name(self) -> &'static str {
        // `every_value_has_a_name` walks the enums, so that the fallback is never written.
        Self::NAMES.iter().find(|(value, _)| *value == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        Self::NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(value, _)| *value)
            .ok_or_else(|| StoreError::Unreadable(format!("{} {name:?}", Self::COLUMN)))
    }
}

impl Named for PackageStatus {
    const COLUMN: &'static str = "package status";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Draft, "DRAFT"), (Self::Published, "PUBLISHED"), (Self::Archived, "ARCHIVED")];
}

impl Named for ResetPeriod {
    const COLUMN: &'static str = "reset period";
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Minute, "MINUTE"),
        (Self::Hour, "HOUR"),
        (Self::Day, "DAY"),
        (Self::Week, "WEEK"),
        (Self::Month, "MONTH"),
        (Self::Year, "YEAR"),
    ];
}

impl Named for ResetAnchor {
    const COLUMN: &'static str = "reset anchor";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Subscription, "SUBSCRIPTION"), (Self::Calendar, "CALENDAR")];
}

/// Returns the name of a reset anchor, which its columns leave out where it is the default.
pub(crate) fn anchor_to_name(anchor: ResetAnchor) -> Option<&'static str> {
    (anchor != ResetAnchor::default()).then(|| anchor.to_name())
}

impl Named for Stacking {
    const COLUMN: &'static str = "stacking";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Highest, "HIGHEST"), (Self::Add, "ADD")];
}

/// Returns the name of how a limit goes with others, which its columns leave out where it is the
/// default.
pub(crate) fn stacking_to_name(stacking: Stacking) -> Option<&'static str> {
    (stacking != Stacking::default()).then(|| stacking.to_name())
}

impl Named for SubscriptionStatus {
    const COLUMN: &'static str = "subscription status";
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Active, "ACTIVE"),
        (Self::Trialing, "TRIALING"),
        (Self::Cancelled, "CANCELLED"),
        (Self::PastDue, "PAST_DUE"),
        (Self::Unpaid, "UNPAID"),
        (Self::Incomplete, "INCOMPLETE"),
        (Self::IncompleteExpired, "INCOMPLETE_EXPIRED"),
    ];
}

impl Named for UsageAction {
    const COLUMN: &'static str = "action";
    const NAMES: &'static [(Self, &'static str)] = &[(Self::Add, "ADD"), (Self::Set, "SET")];
}

impl Named for LoggedAction {
    const COLUMN: &'static str = "action of an event";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Add, "ADD"), (Self::Set, "SET"), (Self::Void, "VOID")];
}

impl Named for EnvironmentKind {
    const COLUMN: &'static str = "environment";
    const NAMES: &'static [(Self, &'static str)] = &[(Self::Test, "test"), (Self::Live, "live")];
}

impl Named for KeyKind {
    const COLUMN: &'static str = "key kind";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Private, "private"), (Self::Public, "public")];
}

impl Named for Role {
    const COLUMN: &'static str = "role";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Viewer, "viewer"), (Self::Editor, "editor"), (Self::Owner, "owner")];
}

/// Reads what a counter holds.
pub(crate) fn counter_value(used: i64, marks: Option<&str>) -> Result<CounterValue, StoreError> {
    let Some(text) = marks else { return Ok(used.into()) };
    let marks = Marks::from_text(text)
        .ok_or_else(|| StoreError::Unreadable(format!("marks of a counter {text:?}")))?;
    Ok(CounterValue { used, marks })
}

/// The terms histories of each package, by feature.
pub(crate) type HistoriesOfPackages = HashMap<PackageId, BTreeMap<FeatureId, TermsHistory>>;

/// Groups rows of terms, which come oldest first, by package and feature.
#[derive(Default)]
pub(crate) struct TermsOfPackages(HashMap<PackageId, HashMap<FeatureId, Vec<Terms>>>);

impl TermsOfPackages {
    pub(crate) fn add(&mut self, package: PackageId, feature: FeatureId, terms: Terms) {
        self.0.entry(package).or_default().entry(feature).or_default().push(terms);
    }

    pub(crate) fn into_histories(self) -> Result<HistoriesOfPackages, StoreError> {
        let mut histories = HistoriesOfPackages::new();
        for (package, features) in self.0 {
            let of_package = histories.entry(package).or_default();
            for (feature, terms) in features {
                let problem = || format!("the terms of {feature} are out of order");
                let history = TermsHistory::from_stored(terms)
                    .ok_or_else(|| StoreError::Unreadable(problem()))?;
                of_package.insert(feature, history);
            }
        }
        Ok(histories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_round_trip<T: Named + std::fmt::Debug>(all: &[T]) {
        assert_eq!(all.len(), T::NAMES.len());
        for value in all {
            assert_eq!(T::from_name(value.to_name()).unwrap(), *value);
        }
        assert!(T::from_name("").is_err());
    }

    #[test]
    fn every_value_has_a_name() {
        use PackageStatus::{Archived, Draft, Published};
        use SubscriptionStatus::{
            Active, Cancelled, Incomplete, IncompleteExpired, PastDue, Trialing, Unpaid,
        };
        names_round_trip(&[Draft, Published, Archived]);
        names_round_trip(&ResetPeriod::ALL);
        names_round_trip(&[ResetAnchor::Subscription, ResetAnchor::Calendar]);
        names_round_trip(&[Stacking::Highest, Stacking::Add]);
        names_round_trip(&[
            Active,
            Trialing,
            Cancelled,
            PastDue,
            Unpaid,
            Incomplete,
            IncompleteExpired,
        ]);
        names_round_trip(&[UsageAction::Add, UsageAction::Set]);
        names_round_trip(&[LoggedAction::Add, LoggedAction::Set, LoggedAction::Void]);
        names_round_trip(&EnvironmentKind::ALL);
        names_round_trip(&[KeyKind::Private, KeyKind::Public]);
        names_round_trip(&Role::ALL);
    }
}
