//! Counts usage events again, to compare counters with what they should be (contract: `operations.md`,
//! "Backup, restore, check, doctor").

use std::collections::BTreeMap;

use crate::facts::{CounterKey, Need, Obstacle, UserFacts};
use crate::id::{FeatureId, UserId, UserKey};
use crate::meter::Meter;
use crate::period::Origin;
use crate::schedule::Schedule;
use crate::source::{Lifetime, Source};
use crate::terms::{CHANGES_MAX, Terms, TermsNumber};
use crate::timestamp::Timestamp;
use crate::usage_event::LoggedAction;

/// By how much clocks may have been apart, and the same clock from itself.
const SLACK_MS: i64 = 10_000;

/// Counts the events of one source and feature again, in the order in which they arrived, by the rules
/// by which they were counted first.
#[derive(Debug)]
pub struct Recount {
    lifetime: Lifetime,
    feature: FeatureId,
    terms: Vec<Terms>,
    facts: UserFacts,
    is_certain: bool,
}

/// A usage event, as far as counting needs it.
#[derive(Debug, Clone, Copy)]
pub struct CountedEvent {
    /// What the amount does.
    pub action: LoggedAction,
    /// The amount.
    pub delta: i64,
    /// When it was used.
    pub occurred_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

impl Recount {
    /// Begins with no events. The source counts from its origin until `ended_at`; `terms` are all that it has had
    /// for the feature, oldest first.
    #[must_use]
    pub fn new(
        source: Source,
        (origin, ended_at): (Origin, Option<Timestamp>),
        feature: FeatureId,
        terms: Vec<Terms>,
    ) -> Option<Self> {
        // A long history is shortened, and no longer says how an early event was counted.
        let is_certain = !terms.is_empty() && terms.len() < CHANGES_MAX;
        // Whose counters they are makes no difference.
        let id = source.counter_id();
        let user = UserKey(id.0);
        let id = UserId::new("userId", &id.to_string()).ok()?;
        let facts = UserFacts::new(user, id, Vec::new());
        let was_ended = matches!(source, Source::Subscription(_));
        let lifetime = Lifetime { source, origin, ended_at, was_ended };
        Some(Self { lifetime, feature, terms, facts, is_certain })
    }

    /// Begins a counter with usage that came along from another package, before any event is counted.
    pub fn bring_along(&mut self, (terms, period_start): (TermsNumber, Timestamp), used: i64) {
        let subscription = self.lifetime.source.counter_id();
        let feature = self.feature.clone();
        let counter = CounterKey { subscription, feature, terms, period_start };
        self.facts.load_counter(counter, Some(used.into()));
    }

    /// Counts the next event.
    pub fn count(&mut self, event: CountedEvent) {
        let CountedEvent { occurred_at, recorded_at, .. } = event;
        let apart = |terms: &Terms| (terms.since.as_ms().saturating_sub(recorded_at.as_ms())).abs();
        if self.terms.iter().any(|terms| apart(terms) <= SLACK_MS) {
            // Which terms it was counted under depends on which of the two came first.
            self.is_certain = false;
        }
        if !self.is_certain {
            return;
        }
        let known = self.terms.partition_point(|terms| terms.since <= recorded_at);
        let Some(terms) = self.terms.get(..known).filter(|terms| !terms.is_empty()) else { return };
        let mut lifetime = self.lifetime;
        lifetime.ended_at = lifetime.ended_at.filter(|ended_at| *ended_at <= recorded_at);
        let schedule = Schedule::of_terms(lifetime, terms);
        let meter = if occurred_at == recorded_at {
            schedule.current(recorded_at).map(|place| Meter::new(schedule, &self.feature, place))
        } else {
            schedule
                .at(occurred_at)
                .map(|place| Meter::late(schedule, &self.feature, place, recorded_at))
        };
        match meter {
            Some(meter) => add(&mut self.facts, &meter, event),
            None => self.is_certain = false,
        }
    }

    /// Returns what a counter should hold that no event has set, and that was written all the same: what its period
    /// has taken over.
    #[must_use]
    pub fn taken_over_by(&self, (terms, period_start): (TermsNumber, Timestamp)) -> i64 {
        let schedule = Schedule::of_terms(self.lifetime, &self.terms);
        let Some(place) = schedule.place_of(terms, period_start) else { return 0 };
        let meter = Meter::new(schedule, &self.feature, place);
        // What is not loaded was never set, and neither was this one.
        let mut facts = self.facts.clone();
        facts.load_counter(meter.counter().clone(), None);
        meter.read(&facts, &mut Vec::new()).used
    }

    /// Returns what the counters should be, by terms number and the start of the period. Old ones may have
    /// been folded since. `None` if that is not certain: a change of terms came within ten seconds of an
    /// event, or there were too many changes.
    #[must_use]
    pub fn counters(&self) -> Option<BTreeMap<(TermsNumber, Timestamp), i64>> {
        let counters = self.facts.known_counters();
        let all = counters.map(|(counter, used)| ((counter.terms, counter.period_start), used));
        self.is_certain.then(|| all.collect())
    }
}

/// Counts an event on a meter. Every counter that no event has set is absent.
fn add(facts: &mut UserFacts, meter: &Meter<'_>, event: CountedEvent) {
    loop {
        let mut changes = Vec::new();
        let counted = meter.value(facts).and_then(|before| {
            let after = event.action.after(before.used, event.delta);
            meter.clone().into_tally().set(facts, before.used, after.into(), &mut changes)
        });
        let missing: Vec<CounterKey> = match counted {
            Err(Obstacle::Needs(Need::Counters(_, missing))) => missing,
            Err(_) => return,
            Ok(()) => {
                changes.iter().for_each(|(_, change)| facts.apply(change));
                return;
            }
        };
        // Each round loads counters that were not loaded, so the rounds have an end.
        missing.into_iter().for_each(|counter| facts.load_counter(counter, None));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::allowance::Allowance;
    use crate::id::SubscriptionId;
    use crate::period::ResetPeriod;

    #[test]
    fn a_counter_that_no_event_has_set_holds_what_its_period_has_taken_over() {
        let at = |text: &str| Timestamp::parse("at", text).unwrap();
        let start = at("2024-01-01T00:00:00Z");
        let every = |period| Some(Allowance { reset_period: Some(period), ..Allowance::UNLIMITED });
        let (month, year) = (every(ResetPeriod::Month), every(ResetPeriod::Year));
        let terms = vec![
            Terms { since: Timestamp::MIN, number: TermsNumber(0), allowance: month },
            Terms { since: at("2024-01-20T00:00:00Z"), number: TermsNumber(1), allowance: year },
        ];
        let source = Source::Subscription(SubscriptionId(Uuid::from_u128(1)));
        let feature = FeatureId::new("feature", "calls").unwrap();
        let mut recount = Recount::new(source, (start.into(), None), feature, terms).unwrap();
        let used_at = at("2024-01-10T00:00:00Z");
        let event = CountedEvent {
            action: LoggedAction::Add,
            delta: 5,
            occurred_at: used_at,
            recorded_at: used_at,
        };
        recount.count(event);
        assert_eq!(recount.taken_over_by((TermsNumber(1), start)), 5);
        let later = at("2025-01-01T00:00:00Z");
        assert_eq!(recount.taken_over_by((TermsNumber(1), later)), 0);
        assert_eq!(recount.taken_over_by((TermsNumber(7), start)), 0);
        assert_eq!(recount.counters().unwrap().len(), 1);
    }
}
