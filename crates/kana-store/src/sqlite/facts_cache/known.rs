//! A user's facts as far as they are known.

use kana_core::counter::CounterValue;
use kana_core::facts::{CounterKey, UserFacts};
use kana_core::id::{SubscriptionId, UserId, UserKey};
use kana_core::quantity::Quantities;
use kana_core::subscription::Subscription;
use kana_core::timing::Timing;

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
    /// Some counters.
    pub(crate) counters: Vec<Counter>,
}

/// A change of what is known of a user.
#[derive(Debug, Clone)]
pub(crate) enum KnownChange {
    Set(CounterKey, Option<CounterValue>),
    Begin(Subscription),
    End(SubscriptionId),
    Quantities(SubscriptionId, Quantities),
    Timing(SubscriptionId, Timing),
}

impl KnownUser {
    /// The user with the subscriptions that run, and no counter.
    pub(crate) fn new(facts: &UserFacts) -> Self {
        Self {
            key: facts.key,
            running: facts.subscriptions().to_vec(),
            has_overrides: facts.has_overrides(),
            has_grants: facts.has_grants(),
            counters: Vec::new(),
        }
    }

    /// Returns it as the facts of the user with this id.
    pub(crate) fn into_facts(self, id: &UserId) -> UserFacts {
        UserFacts::new(self.key, id.clone(), self.running)
            .with_overrides(self.has_overrides)
            .with_grants(self.has_grants)
            .with_counters(self.counters)
    }

    /// Returns the counter's value, if it is known.
    pub(super) fn counter(&self, counter: &CounterKey) -> Option<Option<&CounterValue>> {
        self.counters.iter().find(|(known, _)| known == counter).map(|(_, value)| value.as_ref())
    }

    /// Adds counters that were read. One alone is that of the current period, and those of earlier ones
    /// give way.
    pub(crate) fn learn(&mut self, counters: &[Counter]) {
        if let [(counter, _)] = counters {
            self.forget_earlier_periods(counter);
        }
        for (counter, value) in counters {
            self.set(counter, value.as_ref());
        }
    }

    /// Makes a change that was committed.
    pub(super) fn apply(&mut self, change: &KnownChange) {
        match change {
            KnownChange::Set(counter, value) => {
                if self.counter(counter).is_none() {
                    self.forget_earlier_periods(counter);
                }
                self.set(counter, value.as_ref());
            }
            KnownChange::Begin(subscription) => self.running.push(subscription.clone()),
            KnownChange::Quantities(subscription, quantities) => {
                let mut running = self.running.iter_mut();
                if let Some(known) = running.find(|running| running.id == *subscription) {
                    known.quantities = quantities.clone();
                }
            }
            KnownChange::Timing(subscription, timing) => {
                let mut running = self.running.iter_mut();
                if let Some(known) = running.find(|running| running.id == *subscription) {
                    known.timing = *timing;
                }
            }
            KnownChange::End(subscription) => {
                self.running.retain(|running| running.id != *subscription);
                self.counters.retain(|(counter, _)| counter.subscription != *subscription);
            }
        }
    }

    fn forget_earlier_periods(&mut self, counter: &CounterKey) {
        self.counters.retain(|(known, _)| {
            known.subscription != counter.subscription
                || known.feature != counter.feature
                || known.terms != counter.terms
                || known.period_start >= counter.period_start
        });
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
