//! What was used in the current period and in earlier ones (contract: `entitlements.md`,
//! "showUsage").

use crate::catalog::{Allowance, Catalog};
use crate::entitlement::{Consumption, consumption, find_feature};
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::id::{FeatureId, SubscriptionId};
use crate::period::{Period, ResetPeriod, index_at};
use crate::subscription::{AsOf, Subscription, counting_subscription};
use crate::timestamp::Timestamp;

/// The most past periods that are answered.
pub const PAST_PERIODS_MAX: usize = 100;

/// What was used of one feature, period by period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageHistory {
    /// The period of the subscription that counts now; `None` when nothing does, or the feature
    /// is `BINARY`.
    pub current: Option<ConsumptionInPeriod>,
    /// Earlier periods over all of the user's subscriptions that contained the feature, newest
    /// first by their start, at most [`PAST_PERIODS_MAX`], those without usage included.
    pub past: Vec<ConsumptionInPeriod>,
}

/// What was used in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumptionInPeriod {
    /// The period. A past one that the subscription's end cut short ends there.
    pub period: Period,
    /// What was used of the budget that was in force.
    pub consumption: Consumption,
}

/// One period of one subscription.
struct Stretch {
    subscription: SubscriptionId,
    allowance: Allowance,
    period: Period,
}

/// The usage history of `feature`.
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
    let counting = counting_subscription(catalog, subscriptions, feature, AsOf::Now(now));
    let current = counting.map(|counting| {
        let anchor = counting.subscription.started_at;
        let allowance = counting.package_feature.allowance;
        let at = now.max(anchor);
        Stretch {
            subscription: counting.subscription.id,
            allowance,
            period: Period::containing(anchor, allowance.reset_period, at),
        }
    });
    let mut stretches: Vec<Stretch> = past_stretches(catalog, subscriptions, feature, now);
    let has_current = current.is_some();
    stretches.extend(current);
    // The current one is last, so that what comes before it is the past.
    let counters: Vec<CounterKey> = stretches
        .iter()
        .map(|stretch| CounterKey {
            subscription: stretch.subscription,
            feature: feature.clone(),
            period_start: stretch.period.start,
        })
        .collect();
    let used = facts.used_of_all(&counters)?;
    let mut past: Vec<ConsumptionInPeriod> = stretches
        .iter()
        .zip(used)
        .map(|(stretch, used)| ConsumptionInPeriod {
            period: stretch.period,
            consumption: consumption(stretch.allowance, used),
        })
        .collect();
    let current = if has_current { past.pop() } else { None };
    Ok(UsageHistory { current, past })
}

/// The newest past periods of all subscriptions whose package contains the feature.
fn past_stretches(
    catalog: &Catalog,
    subscriptions: &[Subscription],
    feature: &FeatureId,
    now: Timestamp,
) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for subscription in subscriptions {
        let package = catalog.package(&subscription.package);
        let Some(inside) = package.and_then(|package| package.features.get(feature)) else {
            continue;
        };
        let allowance = inside.allowance;
        stretches.extend(
            past_periods(subscription, allowance.reset_period, now).map(|period| Stretch {
                subscription: subscription.id,
                allowance,
                period,
            }),
        );
    }
    stretches.sort_by_key(|stretch| {
        std::cmp::Reverse((stretch.period.start, stretch.period.end, stretch.subscription))
    });
    stretches.truncate(PAST_PERIODS_MAX);
    stretches
}

/// The newest past periods of one subscription, newest first. Only as many as can be answered
/// are computed, each from the anchor.
fn past_periods(
    subscription: &Subscription,
    reset: Option<ResetPeriod>,
    now: Timestamp,
) -> impl Iterator<Item = Period> {
    let anchor = subscription.started_at;
    let ended_at = subscription.ended_at;
    // The newest period that is over: the one in which the subscription ended, or the one before
    // the period that runs. One that ended as it started has none.
    let newest = match (reset, ended_at) {
        (_, Some(ended_at)) if ended_at <= anchor => None,
        (None, ended_at) => ended_at.map(|_| 0),
        (Some(reset), Some(ended_at)) => {
            Some(index_at(anchor, reset, ended_at.saturating_add_ms(-1)))
        }
        (Some(reset), None) => Some(index_at(anchor, reset, now) - 1),
    };
    newest.into_iter().flat_map(|newest| (0..=newest).rev()).take(PAST_PERIODS_MAX).map(
        move |index| {
            let whole = match reset {
                None => Period { start: anchor, end: None },
                Some(reset) => Period::nth(anchor, reset, index),
            };
            let end = match (whole.end, ended_at) {
                (Some(end), Some(ended_at)) => Some(end.min(ended_at)),
                (end, ended_at) => end.or(ended_at),
            };
            Period { start: whole.start, end }
        },
    )
}
