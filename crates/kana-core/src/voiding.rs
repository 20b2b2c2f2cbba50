//! Taking back what an event has added (contract: `beyond.md`, "Corrections").
//!
//! What is needed is kept with the idempotency key of the event, so the log of usage is not read.

use crate::catalog::Catalog;
use crate::command::{Answer, Basis, Decide, Decision};
use crate::counted::{Counted, CountedAt};
use crate::counter::CounterValue;
use crate::counter_schedule::schedule_of_counter;
use crate::facts::{Change, CounterKey, Obstacle, UserFacts};
use crate::id::{FeatureId, IdempotencyKey, SubscriptionId};
use crate::idempotency::{KeptAnswer, Replay};
use crate::meter::needs;
use crate::named_write::NamedWrite;
use crate::refusal::{InvalidValue, Refusal};
use crate::schedule::Schedule;
use crate::subjects::{Subject, Subjects};
use crate::tally::Tally;
use crate::terms::TermsNumber;
use crate::timestamp::Timestamp;
use crate::usage_event::{LoggedAction, UsageAction, UsageEvent, VoidedUsage};

/// Takes back what the event under a key has added to its counter, once. The key stays used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidUsage {
    /// The key that the event was recorded under.
    pub idempotency_key: IdempotencyKey,
}

impl Decide for VoidUsage {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::Recorder(&self.idempotency_key))
    }

    fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        Some(&self.idempotency_key)
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let stored = basis.replays.stored(&self.idempotency_key)?;
        let Some(replay) = stored.filter(|replay| replay.content.user == facts.key) else {
            return Err(Refusal::UsageNotFound(self.idempotency_key.clone()).into());
        };
        if replay.content.action == UsageAction::Set {
            let problem = "names usage that was SET, which is corrected by another SET";
            return Err(InvalidValue::new("idempotencyKey", problem).into());
        }
        let unchanged = |answer| Ok(Decision::untold(Answer::Voided(answer), Vec::new()));
        let Some(counted) = replay.counted else {
            return unchanged(not_counted(basis.catalog, replay));
        };
        if counted.voided {
            return unchanged(VoidedUsage::Voided);
        }
        let Some(tally) = find(basis.catalog, facts, replay, counted)? else {
            return unchanged(VoidedUsage::CounterUnknown);
        };
        let mut changes = Vec::with_capacity(3);
        let source = tally.counter.subscription;
        let before = facts.counter(&tally.counter).flatten().cloned().unwrap_or_default();
        let mut amount = 0;
        let added = counted.added.unwrap_or(replay.content.delta);
        // What was SET since has replaced it.
        if tally.sets(facts)? == counted.sets {
            let used = before.used.saturating_sub(added).max(0);
            amount = used.saturating_sub(before.used);
            let &Basis { catalog, now, .. } = basis;
            NamedWrite::new(catalog, facts, tally, now).set((&before, used), &mut changes)?;
        }
        let event = self.entry(basis, (replay, added), (source, amount));
        changes.push((facts.key, Change::LogEvent(event)));
        let counted = Some(Counted { voided: true, ..counted });
        let replay = Replay { counted, ..replay.clone() };
        let key = self.idempotency_key.clone();
        changes.push((facts.key, Change::KeepReplay { key, replay }));
        Ok(Decision::untold(Answer::Voided(VoidedUsage::Voided), changes))
    }
}

impl VoidUsage {
    /// Returns the entry of the log. It belongs to the day of what it takes back, and has the amount in the
    /// unit of the feature that was used.
    fn entry(
        &self,
        basis: &Basis<'_>,
        (replay, added): (&Replay, i64),
        (source, counted): (SubscriptionId, i64),
    ) -> UsageEvent {
        let feature = &replay.content.feature;
        let draw = basis.catalog.feature(feature).and_then(|feature| feature.draws());
        let (amount, drawn) = match draw {
            None => (counted, None),
            Some(draw) => {
                let (own, drawn) = draw.taken_back((replay.content.delta, added), counted);
                (own, Some(drawn))
            }
        };
        UsageEvent {
            feature: feature.clone(),
            action: LoggedAction::Void,
            delta: amount,
            occurred_at: occurred_at(replay),
            recorded_at: basis.now,
            amount,
            drawn,
            subscription: Some(source),
            idempotency_key: Some(self.idempotency_key.clone()),
            metadata: None,
        }
    }
}

fn occurred_at(replay: &Replay) -> Timestamp {
    replay.content.occurred_at.unwrap_or(replay.kept_at)
}

/// Says why there is nothing to take back of an event whose key has no counter.
fn not_counted(catalog: &Catalog, replay: &Replay) -> VoidedUsage {
    let was_counted = match replay.answer {
        KeptAnswer::Recorded(recorded) => recorded.recorded(),
        KeptAnswer::Used(used) => used.granted,
    };
    let feature = catalog.feature(&replay.content.feature);
    if !was_counted {
        VoidedUsage::NotCounted
    } else if feature.is_some_and(|feature| feature.is_binary()) {
        VoidedUsage::Binary
    } else {
        VoidedUsage::NotKept
    }
}

/// Finds the counter that has the usage now. Returns `None` if what is stored does not tell it any more.
fn find<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    replay: &Replay,
    counted: Counted,
) -> Result<Option<Tally<'a>>, Obstacle> {
    let feature = &replay.content.feature;
    // The event has the feature that was used, and the counter the one that was counted.
    let feature = catalog.feature(feature).map_or(feature, |known| known.balance());
    let named = match counted.counter {
        CountedAt::Digest(_) => subscriptions(catalog, facts, feature)?
            .into_iter()
            .find_map(|schedule| named(schedule, feature, occurred_at(replay), counted.counter)),
        CountedAt::Whole(source, terms, period_start) => {
            let counter = key(feature, source, (terms, period_start));
            let schedule = schedule_of_counter(catalog, facts, &counter)?;
            Some(Tally { schedule, counter })
        }
    };
    let Some(named) = named else { return Ok(None) };
    let counter = |period_start| CounterKey { period_start, ..named.counter.clone() };
    let folded = counter(CounterKey::FOLDED);
    let is_unknown = |counter: &&CounterKey| facts.counter(counter).is_none();
    let missing = [&named.counter, &folded].into_iter().filter(is_unknown);
    needs(facts.key, missing.cloned().collect())?;
    if facts.counter(&named.counter).flatten().is_some() {
        return Ok(Some(named));
    }
    // It was folded since. If any of the sum was SET, that may have replaced the usage.
    let is_exact = |sum: &&CounterValue| sum.marks.sets() == 0;
    let sum = facts.counter(&folded).flatten().filter(is_exact);
    Ok(sum.map(|_| Tally { counter: folded, ..named }))
}

/// Returns the schedules of all subscriptions of the user whose packages ever had the feature.
fn subscriptions<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    feature: &FeatureId,
) -> Result<Vec<Schedule<'a>>, Obstacle> {
    let schedule = |subscription: &'a crate::subscription::Subscription| {
        let package = catalog.package(&subscription.package)?;
        Schedule::new(subscription, package, feature)
    };
    Ok(facts.all_subscriptions()?.iter().filter_map(schedule).collect())
}

/// Returns the counter of a schedule at an instant that has this name.
fn named<'a>(
    schedule: Schedule<'a>,
    feature: &FeatureId,
    at: Timestamp,
    name: CountedAt,
) -> Option<Tally<'a>> {
    let source = schedule.lifetime.source.counter_id();
    let places = schedule.places(at);
    let counters = places.into_iter().flat_map(|(terms, start)| {
        [start, CounterKey::FOLDED].map(|start| key(feature, source, (terms, start)))
    });
    let tally = |counter| Tally { schedule: Some(schedule), counter };
    counters.map(tally).find(|tally| tally.name() == name)
}

fn key(
    feature: &FeatureId,
    subscription: SubscriptionId,
    (terms, period_start): (TermsNumber, Timestamp),
) -> CounterKey {
    CounterKey { subscription, feature: feature.clone(), terms, period_start }
}
