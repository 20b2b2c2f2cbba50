//! Which subscription counts for a feature (contract: `entitlements.md`, first section, rule 2).

use std::cmp::Reverse;

use crate::allowance::Allowance;
use crate::catalog::Catalog;
use crate::id::FeatureId;
use crate::schedule::Schedule;
use crate::subscription::{AsOf, Subscription};

/// The subscription that counts for a feature.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// The package's allowance of the feature at that time.
    pub allowance: Allowance,
    /// The subscription's periods for the feature.
    pub(crate) schedule: Schedule<'a>,
}

/// Rule 2: returns the subscription with the highest limit, of those that grant `feature`.
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
    subscriptions
        .iter()
        .filter(|subscription| subscription.grants_as_of(as_of))
        .filter_map(|subscription| {
            let package = catalog.package(&subscription.package)?;
            let allowance = match as_of {
                AsOf::Now(_) => package.features.get(feature)?.allowance,
                AsOf::Moment(at) => {
                    Schedule::new(subscription, package, feature)?.allowance_at(at)?
                }
            };
            Some((subscription, package, allowance))
        })
        .max_by_key(|(subscription, _, allowance)| {
            (
                allowance.limit.is_none(),
                allowance.limit,
                allowance.overage_enabled,
                Reverse(subscription.started_at),
                Reverse(subscription.id),
            )
        })
        .and_then(|(subscription, package, allowance)| {
            let schedule = Schedule::new(subscription, package, feature)?;
            Some(Counting { subscription, allowance, schedule })
        })
}
