//! A user's facts as far as they are known.

use kana_core::counter::CounterValue;
use kana_core::facts::{CounterKey, UserFacts};
use kana_core::id::{SubscriptionId, UserId, UserKey};
use kana_core::quantity::Quantities;
use kana_core::subscription::Subscription;

/// The maximum number of counters of a user. The one that was added first gives way.
pub(crate) const COUNTERS_MAX: usize = 32;

/// A counter with its value; `None` if it is known to have no row.
pub(crate) type Counter = (CounterKey, Option<CounterValue>);

/// What is known of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownUser {
    pub(crate) key: UserKey,
    /// Every subscription that runs.
    pub(crate) running: Vec<Subscription>,
    /// Whether the user has overrides. Who has some is not kept in memory.
    pub(crate) has_overrides: bool,
    /// Likewise.
    pub(crate) has_grants: bool,
    /// Likewise.
    pub(crate) has_holds: bool,
    /// Some counters.
    pub(crate) counters: Vec<Counter>,
}

/// A change of what is known of a user.
#[derive(Debug, Clone)]
pub(crate) enum KnownChange {
    /// Counters that were read, and are as they were.
    Learn(Vec<Counter>),
    Set(CounterKey, Option<CounterValue>),
    Begin(Subscription),
    End(SubscriptionId),
    Quantities(SubscriptionId, Quantities),
}

impl KnownUser {
    /// The user with the subscriptions that run, and no counter.
    pub(crate) fn new(facts: &UserFacts) -> Self {
        Self {
            key: facts.key,
            running: facts.subscriptions().to_vec(),
            has_overrides: facts.has_overrides(),
            has_grants: facts.has_grants(),
            has_holds: facts.has_holds(),
            counters: Vec::new(),
        }
    }

    /// Returns it as the facts of the user with this id.
    pub(crate) fn into_facts(self, id: &UserId) -> UserFacts {
        UserFacts::new(self.key, id.clone(), self.running)
            .with_overrides(self.has_overrides)
            .with_grants(self.has_grants)
            .with_holds(self.has_holds)
            .with_counters(self.counters)
    }

    /// Returns the counter's value, if it is known.
    pub(super) fn counter(&self, counter: &CounterKey) -> Option<Option<&CounterValue>> {
        self.counters.iter().find(|(known, _)| known == counter).map(|(_, value)| value.as_ref())
    }

    /// Adds counters that were read. One alone is that of a new period, and takes the place of the oldest.
    pub(crate) fn learn(&mut self, counters: &[Counter]) {
        if let [(counter, _)] = counters {
            self.make_place(counter);
        }
        for (counter, value) in counters {
            self.set(counter, value.as_ref());
        }
    }

    /// Makes a change that was committed.
    pub(super) fn apply(&mut self, change: &KnownChange) {
        match change {
            KnownChange::Learn(counters) => self.learn(counters),
            KnownChange::Set(counter, value) => {
                self.make_place(counter);
                self.set(counter, value.as_ref());
            }
            KnownChange::Begin(subscription) => self.running.push(subscription.clone()),
            KnownChange::Quantities(subscription, quantities) => {
                let mut running = self.running.iter_mut();
                if let Some(known) = running.find(|running| running.id == *subscription) {
                    known.quantities = quantities.clone();
                }
            }
            KnownChange::End(subscription) => {
                self.running.retain(|running| running.id != *subscription);
                self.counters.retain(|(counter, _)| counter.subscription != *subscription);
            }
        }
    }

    /// Forgets the oldest counter of an earlier period, if this one is not there. So a period takes the place of
    /// another, and as many are kept as the feature needs: one or, with rollover, those that are carried from.
    fn make_place(&mut self, counter: &CounterKey) {
        if self.counter(counter).is_some() {
            return;
        }
        let is_earlier = |known: &CounterKey| {
            known.subscription == counter.subscription
                && known.feature == counter.feature
                && known.terms == counter.terms
                && known.period_start < counter.period_start
        };
        let earlier = self.counters.iter().enumerate().filter(|(_, (known, _))| is_earlier(known));
        if let Some((place, _)) = earlier.min_by_key(|(_, (known, _))| known.period_start) {
            self.counters.remove(place);
        }
    }

    fn set(&mut self, counter: &CounterKey, value: Option<&CounterValue>) {
        if let Some((_, known)) = self.counters.iter_mut().find(|(known, _)| known == counter) {
            *known = value.cloned();
            return;
        }
        if self.counters.len() >= COUNTERS_MAX {
            self.counters.remove(0);
        }
        self.counters.push((counter.clone(), value.cloned()));
    }
}
