//! The limit and the terms of a counter, also when another one counts now (contract: `beyond.md`, "What
//! counts").

use crate::catalog::{Allowance, Catalog, Stacking};
use crate::counting::counting_subscription;
use crate::facts::{Obstacle, UserFacts};
use crate::id::FeatureId;
use crate::overrides::Override;
use crate::schedule::{Place, Schedule};
use crate::source::Source;
use crate::subscription::{AsOf, Subscription};
use crate::terms::TermsHistory;
use crate::timestamp::Timestamp;

/// Returns the instant at which a write to a counter by its name happens: the last one of its period, if
/// that is over, and else now; and what it is counted under then.
pub(crate) fn allowance_of_counter(
    catalog: &Catalog,
    facts: &UserFacts,
    feature: &FeatureId,
    (schedule, place): (&Schedule<'_>, &Place),
    now: Timestamp,
) -> Result<(Allowance, AsOf), Obstacle> {
    let as_of = match place.period.end {
        Some(end) if end <= now => AsOf::Moment(end.saturating_add_ms(-1)),
        _ => AsOf::Now(now),
    };
    let stored = facts.overrides()?.iter().find(|known| known.feature == *feature);
    // Those that have ended give nothing now, and a user can have any number of them.
    let subscriptions = match (as_of, schedule.lifetime.source) {
        (AsOf::Now(_), Source::Subscription(id)) if facts.running(id).is_some() => {
            facts.subscriptions()
        }
        _ => facts.all_subscriptions()?,
    };
    let allowances = CounterAllowances::new(catalog, subscriptions, stored, feature);
    Ok((allowances.allowance_of(schedule, place, as_of), as_of))
}

/// What the allowances of one feature's counters depend on beside the terms of their periods.
pub(crate) struct CounterAllowances<'a> {
    catalog: &'a Catalog,
    subscriptions: &'a [Subscription],
    /// The user's override of the feature.
    stored: Option<&'a Override>,
    feature: &'a FeatureId,
    /// Whether limits of subscriptions were ever added to others.
    have_added: bool,
}

impl<'a> CounterAllowances<'a> {
    pub(crate) fn new(
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

    /// Returns what a counter is counted under at an instant of its period: what counts with the period's
    /// subscription, if that counts then, and else its own.
    pub(crate) fn allowance_of(
        &self,
        schedule: &Schedule<'_>,
        place: &Place,
        as_of: AsOf,
    ) -> Allowance {
        let Source::Subscription(subscription) = schedule.lifetime.source else {
            return place.allowance;
        };
        let of_then = self.subscriptions.iter().find(|known| known.id == subscription);
        let own = of_then.map_or(place.allowance.limit, |known| {
            let quantity = match as_of {
                AsOf::Now(_) => known.quantities.current(),
                AsOf::Moment(at) => known.quantities.at(at),
            };
            quantity.times(place.allowance.limit)
        });
        let own = Allowance { limit: own, ..place.allowance };
        let living = self.stored.filter(|known| known.lives(as_of));
        let counts_otherwise =
            |known: &Override| known.denies(as_of) || known.terms.counts_itself();
        let is_alone = living.is_none() && !self.have_added;
        if is_alone || living.is_some_and(counts_otherwise) {
            return own;
        }
        let counting = counting_subscription(self.catalog, self.subscriptions, self.feature, as_of);
        match counting.filter(|counting| counting.subscription.id == subscription) {
            None => own,
            Some(counting) => match living {
                Some(known) => known.terms.instead_of(own),
                None => Allowance { limit: counting.allowance.limit, ..own },
            },
        }
    }
}
