//! Folding old counters into one sum (contract: `entitlements.md`, "When a published file changes
//! terms").
//!
//! For each subscription, feature and terms number, the counters of the newest 1,500 periods are
//! kept individually. No answer lists older ones; only a period that never ends still needs their
//! sum. So a background task adds them to one sum and deletes them.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::command::{Answer, Basis, Decide, Decision};
use crate::counter::CounterValue;
use crate::counter_schedule::schedule_of_counter;
use crate::facts::{Change, CounterKey, Obstacle, UserChange, UserFacts};
use crate::id::{FeatureId, SubscriptionId, UserId};
use crate::meter::needs;
use crate::period::ResetPeriod;
use crate::subjects::{Subject, Subjects};
use crate::terms::{TermsHistory, TermsNumber};
use crate::timestamp::Timestamp;

pub use crate::schedule::{COUNTED_ONE_BY_ONE, FOLDED_LATE_MAX};

/// Returns an instant so recent that no counter whose period started then or later may be folded, if no
/// period was ever shorter than `shortest`.
#[must_use]
pub fn oldest_kept(shortest: ResetPeriod, now: Timestamp) -> Timestamp {
    now.saturating_add_ms(-(COUNTED_ONE_BY_ONE - 1) * shortest.least_ms())
}

/// Returns the shortest reset period that the feature has or had in a package; `None` if its usage was
/// never reset.
#[must_use]
pub fn shortest_reset(catalog: &Catalog, feature: &FeatureId) -> Option<ResetPeriod> {
    let given = catalog.packages().flat_map(|package| {
        let now = package.features.get(feature).map(|given| given.allowance);
        let ever = package.terms.get(feature).map_or(&[][..], TermsHistory::terms);
        now.into_iter().chain(ever.iter().filter_map(|terms| terms.allowance))
    });
    given.filter_map(|allowance| allowance.reset_period).min()
}

/// Folds counters of one subscription, feature and terms number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldCounters {
    /// The user, where an override counted; a subscription says whose it is.
    pub user: Option<UserId>,
    /// The subscription that counted, or the override in its place.
    pub subscription: SubscriptionId,
    /// The feature that was used.
    pub feature: FeatureId,
    /// The terms number that it was counted under.
    pub terms: TermsNumber,
    /// The starts of periods that have counters. Counters that are not old enough are left alone.
    pub period_starts: Vec<Timestamp>,
}

impl Decide for FoldCounters {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(match &self.user {
            Some(user) => Subject::User(user),
            None => Subject::Subscriber(self.subscription),
        })
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let changes = fold(basis.catalog, basis.user(self)?, self, basis.now)?;
        Ok(Decision::untold(Answer::Folded, changes))
    }
}

/// Returns the changes that fold the counters. They are deleted, and their values are added to the
/// sum and to the counter of each period that has taken the sum over, if that counter is written.
fn fold(
    catalog: &Catalog,
    facts: &UserFacts,
    command: &FoldCounters,
    now: Timestamp,
) -> Result<Vec<UserChange>, Obstacle> {
    let FoldCounters { user: _, subscription, feature, terms, period_starts } = command;
    let counter = |terms, period_start| CounterKey {
        subscription: *subscription,
        feature: feature.clone(),
        terms,
        period_start,
    };
    let sum = counter(*terms, CounterKey::FOLDED);
    let Some(schedule) = schedule_of_counter(catalog, facts, &sum)? else {
        return Ok(Vec::new());
    };
    let Some(since) = schedule.counted_one_by_one_since(*terms, now) else {
        return Ok(Vec::new());
    };
    let is_old = |start: &&Timestamp| **start < since && **start != CounterKey::FOLDED;
    let starts: BTreeSet<&Timestamp> = period_starts.iter().filter(is_old).collect();
    let old: Vec<CounterKey> = starts.into_iter().map(|start| counter(*terms, *start)).collect();
    let sum = counter(*terms, CounterKey::FOLDED);
    let takers = schedule.takers_of(*terms, schedule.lifetime.origin.started_at);
    let takers: Vec<CounterKey> =
        takers.into_iter().map(|(number, start)| counter(number, start)).collect();

    let is_unknown = |counter: &&CounterKey| facts.stored(counter).is_none();
    let asked = old.iter().chain([&sum]).chain(&takers);
    needs(facts.key, asked.filter(is_unknown).cloned().collect())?;
    let stored = |counter: &CounterKey| facts.counter(counter).flatten();
    let values = || old.iter().filter_map(stored);
    let folded = values().map(|value| value.used).fold(0, i64::saturating_add);
    // Whether anything of the sum was SET matters to what is taken back of it.
    let sets = values().map(|value| value.marks.sets()).fold(0, u32::saturating_add);
    let brought = values().map(|value| value.marks.brought_along()).fold(0, i64::saturating_add);
    let mut drawn = CounterValue::default();
    values().for_each(|value| drawn.add(value));
    let mut changes: Vec<UserChange> = old
        .iter()
        .filter(|counter| stored(counter).is_some())
        .map(|counter| (facts.key, Change::DeleteCounter { counter: counter.clone() }))
        .collect();
    if changes.is_empty() {
        return Ok(changes);
    }
    let plus = |known: CounterValue, sets| CounterValue {
        used: known.used.saturating_add(folded),
        marks: if sets == 0 { known.marks } else { known.marks.after_sets(sets) },
    };
    let mut value = plus(stored(&sum).cloned().unwrap_or_default(), sets);
    let drawn = CounterValue { used: 0, ..drawn };
    let add_drawn = |value: &mut CounterValue| {
        value.add(&drawn);
        let draws = value.marks.draws().clone().put_together();
        value.marks = value.marks.with_draws(draws);
    };
    add_drawn(&mut value);
    if brought > 0 {
        value.marks = value.marks.brought(value.marks.brought_along().saturating_add(brought));
    }
    changes.push((facts.key, Change::SetCounter { counter: sum, value }));
    for counter in takers {
        // A counter that was never written includes the sum when it is first read.
        if let Some(known) = stored(&counter) {
            let mut value = plus(known.clone(), 0);
            if !known.marks.has_moved() {
                add_drawn(&mut value);
            }
            changes.push((facts.key, Change::SetCounter { counter, value }));
        }
    }
    Ok(changes)
}
