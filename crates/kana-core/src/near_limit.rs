//! Who is near or over a limit (contract: `dashboard.md`, "Data that the service does not have yet").
//!
//! Recording tells when a period's usage crosses a share of its budget upwards. What is shown later is
//! asked anew: usage can fall again, and limits change. It is no event of the changes feed.

use crate::access::Consumption;
use crate::catalog::Catalog;
use crate::entitlement::entitlement;
use crate::facts::{Obstacle, UserFacts};
use crate::id::FeatureId;
pub use crate::limit_crossing::{LimitCrossing, Share};
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// Returns how much the user has used of the feature, and the share of the budget that this is, if
/// the user is near or over the limit now.
pub fn near_limit(
    catalog: &Catalog,
    facts: &UserFacts,
    feature: &FeatureId,
    now: Timestamp,
) -> Result<Option<(Consumption, Share)>, Obstacle> {
    let entitlement = entitlement(catalog, facts, feature, 0, AsOf::Now(now))?;
    Ok(entitlement.consumption.and_then(|consumption| {
        let share = Share::reached(consumption.used, consumption.budget?)?;
        Some((consumption, share))
    }))
}
