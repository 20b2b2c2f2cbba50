//! Usage in the current period and in earlier ones (contract: `entitlements.md`, "showUsage").

use std::cmp::Reverse;

use crate::catalog::Catalog;
use crate::counting::counting_subscription;
use crate::entitlement::{Consumption, consumption, find_feature};
use crate::facts::{Obstacle, UserFacts};
use crate::id::FeatureId;
use crate::meter::{Meter, needs};
use crate::period::Period;
use crate::schedule::{Place, Schedule};
use crate::subscription::{AsOf, Subscription};
use crate::timestamp::Timestamp;

/// The maximum number of past periods in an answer.
pub const PAST_PERIODS_MAX: i64 = 100;

/// The usage of one feature, period by period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageHistory {
    /// The period of the subscription that counts now; `None` if none does or the feature is
    /// `BINARY`.
    pub current: Option<ConsumptionInPeriod>,
    /// Earlier periods of all subscriptions of the user that had the feature, including periods
    /// without usage: newest first by their start, at most [`PAST_PERIODS_MAX`].
    pub past: Vec<ConsumptionInPeriod>,
}

/// The usage in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumptionInPeriod {
    /// The period. It ends with the subscription, if that ended earlier.
    pub period: Period,
    /// The usage, and the budget that was in force.
    pub consumption: Consumption,
}

/// Returns the usage history of `feature`.
pub fn show_usage(
    catalog: &Catalog,
    facts: &UserFacts,
    feature: &FeatureId,
    now: Timestamp,
) -> Result<UsageHistory, Obstacle> {
    if find_feature(catalog, feature)?.is_binary() {
        return Ok(UsageHistory { current: None, past: Vec::new() });
    }
    let subscriptions = facts.all_subscriptions()?;
    let mut missing = Vec::new();
    let mut show = |meter: Meter<'_>| {
        let Place { period, allowance, .. } = *meter.place();
        let used = meter.read(facts, &mut missing);
        ConsumptionInPeriod { period, consumption: consumption(allowance, used) }
    };
    let counting = counting_subscription(catalog, subscriptions, feature, AsOf::Now(now));
    let current = counting.and_then(|counting| {
        let place = counting.schedule.current(now)?;
        Some(show(Meter::new(counting.schedule, feature, place)))
    });
    let past = past_meters(catalog, subscriptions, feature, now).into_iter().map(show).collect();
    // All at once: failing at the first would cost a round trip for each.
    needs(facts.key, missing)?;
    Ok(UsageHistory { current, past })
}

/// Returns meters of the newest past periods, newest first, of all subscriptions whose package has
/// or had the feature.
fn past_meters<'a>(
    catalog: &'a Catalog,
    subscriptions: &'a [Subscription],
    feature: &FeatureId,
    now: Timestamp,
) -> Vec<Meter<'a>> {
    let mut past: Vec<(Schedule<'_>, Place)> = Vec::new();
    for subscription in subscriptions {
        let package = catalog.package(&subscription.package);
        let schedule = package.and_then(|package| Schedule::new(subscription, package, feature));
        let Some(schedule) = schedule else {
            continue;
        };
        let now = schedule.not_before_known(now);
        let is_over = |place: &Place| place.period.end.is_some_and(|end| end <= now);
        // One of the listed periods may still run.
        let listed = schedule.listed(now, PAST_PERIODS_MAX + 1).into_iter();
        past.extend(listed.filter(is_over).map(|place| (schedule, place)));
    }
    past.sort_by_key(|(schedule, place)| {
        Reverse((place.period.start, place.period.end, schedule.subscription.id, place.number))
    });
    past.truncate(usize::try_from(PAST_PERIODS_MAX).unwrap_or(usize::MAX));
    past.into_iter().map(|(schedule, place)| Meter::new(schedule, feature, place)).collect()
}
