//! Usage in the current period and in earlier ones (contract: `entitlements.md`, "showUsage").

use std::cmp::Reverse;

use crate::catalog::{Allowance, Catalog};
use crate::counter_allowance::CounterAllowances;
use crate::entitlement::{Consumption, Standing, find_feature, standing};
use crate::facts::{Obstacle, UserFacts};
use crate::id::FeatureId;
use crate::meter::{Meter, needs};
use crate::overrides::{Override, OverrideTerms};
use crate::own_part::OwnPart;
use crate::period::Period;
use crate::schedule::{Place, Schedule};
use crate::source::{Lifetime, Source};
use crate::subscription::{AsOf, Subscription};
use crate::terms::Terms;
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
    let mut is_of_subscription = false;
    let current = match standing(catalog, facts, known, AsOf::Now(now), now)? {
        Standing::Consumable { allowance, meter, grants } => {
            is_of_subscription = matches!(meter.source(), Source::Subscription(_));
            let value = meter.read(facts, &mut missing);
            let own = OwnPart::of(allowance, &meter, (facts, now), &mut missing)?;
            let consumption = grants.consumption(own, &value);
            Some(ConsumptionInPeriod { period: grants.shown_period(&meter), consumption })
        }
        Standing::NotGranted | Standing::Denied(_) | Standing::Binary(_) => None,
    };
    // Of a past period, no grant that lives is part.
    let mut show = |meter: &Meter<'_>, allowance: Allowance| {
        let value = meter.read(facts, &mut missing);
        let drawn = value.marks.draws().total();
        let own = OwnPart::of(allowance, meter, (facts, now), &mut missing)?;
        let consumption = own.consumption(value.used).with_granted(drawn);
        let consumption = consumption.with_held(meter.held(facts, now)?);
        Ok::<_, Obstacle>(ConsumptionInPeriod { period: meter.place().period, consumption })
    };
    let mut past = past_of_subscriptions(catalog, subscriptions, feature, now);
    past.extend(
        stored.into_iter().flat_map(|known| past_of_override(known, is_of_subscription, now)),
    );
    sort_newest_first(&mut past);
    let allowances = CounterAllowances::new(catalog, subscriptions, stored, feature);
    let past = past.into_iter().map(|(schedule, place)| {
        // A past period has an end.
        let end = place.period.end.unwrap_or(Timestamp::MAX);
        let last = AsOf::Moment(end.saturating_add_ms(-1));
        let allowance = allowances.allowance_of(&schedule, &place, last);
        show(&Meter::new(schedule, feature, place), allowance).map(|shown| (schedule, shown))
    });
    // An override's periods are shown where something was used in them.
    let is_shown = |shown: &Result<(Schedule<'_>, ConsumptionInPeriod), Obstacle>| match shown {
        Ok((schedule, shown)) => {
            let is_of_override = matches!(schedule.lifetime.source, Source::Override(_));
            !is_of_override || shown.consumption.used > 0
        }
        Err(_) => true,
    };
    let past = past.filter(is_shown).map(|shown| Ok(shown?.1)).take(PERIODS_MAX);
    let past = past.collect::<Result<_, Obstacle>>()?;
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
fn past_of_override(
    known: &Override,
    is_counted_on_subscription: bool,
    now: Timestamp,
) -> Vec<Past<'_>> {
    if known.terms == OverrideTerms::Deny {
        return Vec::new();
    }
    let is_replacing = is_counted_on_subscription && known.lives(AsOf::Now(now));
    if is_replacing && let Some(earlier) = before_it_replaced(known) {
        return past_of(earlier, now);
    }
    past_of(Schedule::of_override(known), now)
}

/// Returns the schedule of an override until its reset period was removed. Since then a subscription counts, so
/// there is no longer period to take over what it counted by itself. `None` if it never had a reset period.
fn before_it_replaced(known: &Override) -> Option<Schedule<'_>> {
    let terms = known.history.terms();
    let resets = |terms: &Terms| terms.allowance.is_some_and(|given| given.reset().is_some());
    let (own, since) = terms.split_at(terms.iter().rposition(resets)? + 1);
    let lifetime = Lifetime { ended_at: Some(since.first()?.since), ..known.into() };
    Some(Schedule::of_terms(lifetime, own))
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
