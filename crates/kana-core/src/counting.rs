//! Which subscription counts for a feature, and what is added to it (contract: `entitlements.md`, first
//! section, rule 2; `beyond.md`, "Quantity and stacking").

use std::cmp::Reverse;

use crate::allowance::{Allowance, Stacking};
use crate::catalog::{Catalog, Package};
use crate::id::{FeatureId, SubscriptionId};
use crate::schedule::Schedule;
use crate::subscription::{AsOf, Subscription};

/// The subscription that counts for a feature.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// Its package's allowance of the feature at that time. The limit is its own, so many times as the
    /// quantity says, and what is added to it; `None` if one of them is unlimited.
    pub allowance: Allowance,
    /// Its own limit so many times; `None` means unlimited.
    pub own: Option<i64>,
    /// The subscription's periods for the feature.
    pub(crate) schedule: Schedule<'a>,
}

/// A subscription that grants the feature.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    subscription: &'a Subscription,
    package: &'a Package,
    allowance: Allowance,
    /// The limit so many times as the quantity says; `None` means unlimited.
    limit: Option<i64>,
}

impl Candidate<'_> {
    fn is_added(&self) -> bool {
        self.allowance.stacking == Stacking::Add
    }

    /// The one with the greatest counts.
    fn rank(&self) -> impl Ord + use<> {
        let by_age = (Reverse(self.subscription.started_at), Reverse(self.subscription.id));
        // Among those that are added, only the age decides, so that usage stays where it is.
        let by_limit = (!self.is_added()).then_some((
            self.limit.is_none(),
            self.limit,
            self.allowance.overage_enabled,
        ));
        (by_limit, by_age)
    }
}

/// Rule 2: returns the subscription with the highest limit, of those that grant `feature`, each limit so
/// many times as the quantity says. Limits that are added do not compete, unless there are only those:
/// then the oldest counts.
///
/// Ties: overage enabled first, then the oldest start, then the smallest id. The order of
/// `subscriptions` does not matter.
#[must_use]
pub fn counting_subscription<'a>(
    catalog: &'a Catalog,
    subscriptions: &'a [Subscription],
    feature: &FeatureId,
    as_of: AsOf,
) -> Option<Counting<'a>> {
    let mut first: Option<Candidate<'a>> = None;
    // What all of them come to that are added; `None` means unlimited.
    let mut added = Some(0);
    for candidate in candidates(catalog, subscriptions, feature, as_of) {
        if candidate.is_added() {
            added = plus(added, candidate.limit);
        }
        if first.is_none_or(|first| candidate.rank() > first.rank()) {
            first = Some(candidate);
        }
    }
    let counting = first?;
    let limit = if counting.is_added() { added } else { plus(counting.limit, added) };
    Some(Counting {
        subscription: counting.subscription,
        allowance: Allowance { limit, ..counting.allowance },
        own: counting.limit,
        schedule: Schedule::new(counting.subscription, counting.package, feature)?,
    })
}

/// Returns the limits that are added to that of the subscription that counts, each with its
/// subscription: oldest start first, then smallest id.
pub(crate) fn added_limits(
    catalog: &Catalog,
    subscriptions: &[Subscription],
    feature: &FeatureId,
    as_of: AsOf,
    counting: SubscriptionId,
) -> Vec<(SubscriptionId, Option<i64>)> {
    let mut added: Vec<Candidate<'_>> = candidates(catalog, subscriptions, feature, as_of)
        .filter(|candidate| candidate.is_added() && candidate.subscription.id != counting)
        .collect();
    added.sort_by_key(|added| (added.subscription.started_at, added.subscription.id));
    added.iter().map(|added| (added.subscription.id, added.limit)).collect()
}

/// Returns the subscriptions that grant the feature.
fn candidates<'a>(
    catalog: &'a Catalog,
    subscriptions: &'a [Subscription],
    feature: &FeatureId,
    as_of: AsOf,
) -> impl Iterator<Item = Candidate<'a>> {
    let granting = subscriptions.iter().filter(move |known| known.grants_as_of(as_of));
    granting.filter_map(move |subscription| {
        let package = catalog.package(&subscription.package)?;
        let (allowance, quantity) = match as_of {
            AsOf::Now(_) => {
                (package.features.get(feature)?.allowance, subscription.quantities.current())
            }
            AsOf::Moment(at) => {
                let schedule = Schedule::new(subscription, package, feature)?;
                (schedule.allowance_at(at)?, subscription.quantities.at(at))
            }
        };
        let limit = quantity.times(allowance.limit);
        Some(Candidate { subscription, package, allowance, limit })
    })
}

/// Adds limits, of which `None` means unlimited. A sum that does not fit is [`i64::MAX`].
fn plus(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    Some(one?.saturating_add(other?))
}
