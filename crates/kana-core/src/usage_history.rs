//! Usage in the current period and in earlier ones (contract: `entitlements.md`, "showUsage").

use std::cmp::Reverse;

use crate::catalog::{Allowance, Catalog, Stacking};
use crate::counting::counting_subscription;
use crate::entitlement::{Consumption, Standing, consumption, find_feature, standing};
use crate::facts::{Obstacle, UserFacts};
use crate::id::FeatureId;
use crate::meter::{Meter, needs};
use crate::overrides::{Override, OverrideTerms};
use crate::period::Period;
use crate::schedule::{Place, Schedule};
use crate::source::Source;
use crate::subscription::{AsOf, Subscription};
use crate::terms::TermsHistory;
use crate::timestamp::Timestamp;

/// The maximum number of past periods in an answer.
pub const PAST_PERIODS_MAX: i64 = 100;

/// The same, to count with.
const PERIODS_MAX: usize = PAST_PERIODS_MAX as usize;

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
    let known = find_feature(catalog, feature)?;
    if known.is_binary() {
        return Ok(UsageHistory { current: None, past: Vec::new() });
    }
    let subscriptions = facts.all_subscriptions()?;
    // A feature that draws on another shows its balance.
    let feature = known.balance();
    let stored = facts.overrides()?.iter().find(|known| known.feature == *feature);
    let mut missing = Vec::new();
    let mut show = |meter: &Meter<'_>, allowance: Allowance| {
        let used = meter.read(facts, &mut missing);
        let period = meter.place().period;
        ConsumptionInPeriod { period, consumption: consumption(allowance, used) }
    };
    let current = match standing(catalog, facts, known, AsOf::Now(now), now)? {
        Standing::Consumable { allowance, meter } => Some(show(&meter, allowance)),
        Standing::NotGranted | Standing::Denied(_) | Standing::Binary(_) => None,
    };
    let mut past = past_of_subscriptions(catalog, subscriptions, feature, now);
    past.extend(stored.into_iter().flat_map(|known| past_of_override(known, now)));
    sort_newest_first(&mut past);
    let allowances = PastAllowances::new(catalog, subscriptions, stored, feature);
    let past = past.into_iter().map(|(schedule, place)| {
        let allowance = allowances.allowance_of(&schedule, &place);
        (schedule, show(&Meter::new(schedule, feature, place), allowance))
    });
    // An override's periods are shown where something was used in them.
    let is_shown = |(schedule, shown): &(Schedule<'_>, ConsumptionInPeriod)| {
        matches!(schedule.lifetime.source, Source::Subscription(_)) || shown.consumption.used > 0
    };
    let past: Vec<_> = past.filter(is_shown).map(|(_, shown)| shown).take(PERIODS_MAX).collect();
    // All at once: failing at the first would cost a round trip for each.
    needs(facts.key, missing)?;
    Ok(UsageHistory { current, past })
}

/// A period with the schedule that it belongs to.
type Past<'a> = (Schedule<'a>, Place);

/// Returns the newest past periods of all subscriptions whose package has or had the feature.
fn past_of_subscriptions<'a>(
    catalog: &'a Catalog,
    subscriptions: &[Subscription],
    feature: &FeatureId,
    now: Timestamp,
) -> Vec<Past<'a>> {
    let mut past: Vec<Past<'_>> = Vec::new();
    for subscription in subscriptions {
        let package = catalog.package(&subscription.package);
        let schedule = package.and_then(|package| Schedule::new(subscription, package, feature));
        past.extend(schedule.into_iter().flat_map(|schedule| past_of(schedule, now)));
    }
    sort_newest_first(&mut past);
    past.truncate(PERIODS_MAX);
    past
}

/// Returns the newest past periods of an override's own. One that denies the feature has none.
fn past_of_override(known: &Override, now: Timestamp) -> Vec<Past<'_>> {
    if known.terms == OverrideTerms::Deny {
        return Vec::new();
    }
    past_of(Schedule::of_override(known), now)
}

fn sort_newest_first(past: &mut [Past<'_>]) {
    past.sort_by_key(|(schedule, place)| {
        let source = schedule.lifetime.source.id();
        Reverse((place.period.start, place.period.end, source, place.number))
    });
}

fn past_of(schedule: Schedule<'_>, now: Timestamp) -> Vec<Past<'_>> {
    let now = schedule.not_before_known(now);
    let is_over = |place: &Place| place.period.end.is_some_and(|end| end <= now);
    // One of the listed periods may still run.
    let listed = schedule.listed(now, PAST_PERIODS_MAX + 1).into_iter();
    listed.filter(is_over).map(|place| (schedule, place)).collect()
}

/// What the allowances of past periods depend on beside their own terms.
struct PastAllowances<'a> {
    catalog: &'a Catalog,
    subscriptions: &'a [Subscription],
    /// The user's override of the feature.
    stored: Option<&'a Override>,
    feature: &'a FeatureId,
    /// Whether limits of subscriptions were ever added to others.
    have_added: bool,
}

impl<'a> PastAllowances<'a> {
    fn new(
        catalog: &'a Catalog,
        subscriptions: &'a [Subscription],
        stored: Option<&'a Override>,
        feature: &'a FeatureId,
    ) -> Self {
        let adds = |allowance: Allowance| allowance.stacking == Stacking::Add;
        let have_added = subscriptions.iter().any(|subscription| {
            let Some(package) = catalog.package(&subscription.package) else { return false };
            let current = package.features.get(feature).map(|inside| inside.allowance);
            let earlier = package.terms.get(feature).into_iter().flat_map(TermsHistory::terms);
            current.into_iter().chain(earlier.filter_map(|terms| terms.allowance)).any(adds)
        });
        Self { catalog, subscriptions, stored, feature, have_added }
    }

    /// Returns the terms of a past period's last instant: what counted with the period's subscription,
    /// if that counted then, and else its own.
    fn allowance_of(&self, schedule: &Schedule<'_>, place: &Place) -> Allowance {
        let Source::Subscription(subscription) = schedule.lifetime.source else {
            return place.allowance;
        };
        // A past period has an end.
        let end = place.period.end.unwrap_or(Timestamp::MAX);
        let last = end.saturating_add_ms(-1);
        let of_then = self.subscriptions.iter().find(|known| known.id == subscription);
        let own = of_then.map_or(place.allowance.limit, |known| {
            known.quantities.at(last).times(place.allowance.limit)
        });
        let own = Allowance { limit: own, ..place.allowance };
        let last = AsOf::Moment(last);
        let living = self.stored.filter(|known| known.lives(last));
        let counts_otherwise =
            |known: &Override| known.terms == OverrideTerms::Deny || known.terms.counts_itself();
        let is_alone = living.is_none() && !self.have_added;
        if is_alone || living.is_some_and(counts_otherwise) {
            return own;
        }
        let counting = counting_subscription(self.catalog, self.subscriptions, self.feature, last);
        match counting.filter(|counting| counting.subscription.id == subscription) {
            None => own,
            Some(counting) => match living {
                Some(known) => known.terms.instead_of(own),
                None => Allowance { limit: counting.allowance.limit, ..own },
            },
        }
    }
}
