//! What a user may do before and after a command about subscriptions.

use std::collections::HashSet;

use super::{EntitlementDifference, Grant};
use crate::catalog::Catalog;
use crate::entitlement::{Entitlement, Reason, known_entitlements};
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::id::{FeatureId, PackageId, SubscriptionId};
use crate::meter::needs;
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// A user's facts before and after a command.
pub(crate) struct Known<'a> {
    pub(crate) before: &'a UserFacts,
    pub(crate) after: &'a UserFacts,
    /// Subscriptions that the command creates, and overrides in their place, which have counted nothing
    /// yet.
    pub(crate) created: &'a [SubscriptionId],
}

/// Returns the features of `packages`, and then of `others`, whose access, budget or overage differ, in
/// their order. Fails with the counters that are not loaded, all at once.
pub(crate) fn entitlement_differences<'a>(
    catalog: &'a Catalog,
    known: &Known<'_>,
    packages: impl Iterator<Item = &'a PackageId>,
    others: Vec<&'a FeatureId>,
    now: Timestamp,
) -> Result<Vec<EntitlementDifference>, Obstacle> {
    let mut seen = HashSet::new();
    let features: Vec<&FeatureId> = packages
        .filter_map(|package| catalog.package(package))
        .flat_map(|package| package.features.keys())
        .chain(others)
        .filter(|feature| seen.insert(*feature))
        .collect();
    differences_of_features(catalog, known, features, now)
}

/// Returns those of `features` whose access, budget or overage differ, in their order, and then those that
/// draw on one of them. Fails like [`entitlement_differences`].
pub(crate) fn differences_of_features<'a>(
    catalog: &'a Catalog,
    known: &Known<'_>,
    mut features: Vec<&'a FeatureId>,
    now: Timestamp,
) -> Result<Vec<EntitlementDifference>, Obstacle> {
    let seen: HashSet<&FeatureId> = features.iter().copied().collect();
    let drawing = catalog.drawing_on(|balance| seen.contains(balance)).map(|feature| &feature.id);
    features.extend(drawing.filter(|feature| !seen.contains(*feature)));
    let mut missing = Vec::new();
    let mut entitlements = |facts| {
        known_entitlements(catalog, facts, features.iter().copied(), AsOf::Now(now), &mut missing)
    };
    let before = entitlements(known.before)?;
    let after = entitlements(known.after)?;
    let is_new = |counter: &CounterKey| known.created.contains(&counter.subscription);
    needs(known.before.key, missing.into_iter().filter(|counter| !is_new(counter)).collect())?;
    let differences = features.into_iter().zip(before.iter().zip(&after));
    Ok(differences
        .map(|(feature, (before, after))| (feature, grant(before), grant(after)))
        .filter(|(_, before, after)| before != after)
        .map(|(feature, before, after)| EntitlementDifference {
            feature: feature.clone(),
            before,
            after,
        })
        .collect())
}

fn grant(entitlement: &Entitlement) -> Option<Grant> {
    let Entitlement { access, reason, consumption } = entitlement;
    let is_granted = !matches!(reason, Reason::NotGranted | Reason::Denied);
    is_granted.then(|| Grant {
        access: *access,
        budget: consumption.and_then(|consumption| consumption.budget),
        overage_enabled: consumption.is_some_and(|consumption| consumption.overage_enabled),
    })
}
