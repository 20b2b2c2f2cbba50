//! A user's facts as far as they are known.

use kana_core::counter::CounterValue;
use kana_core::facts::{CounterKey, UserFacts};
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::{FeatureId, SubscriptionId, UserId, UserKey};
use kana_core::overrides::Override;
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
    /// All overrides, those that have ended included; `None` if there may be some that are not known.
    pub(crate) overrides: Option<Vec<Override>>,
    /// All grants, likewise.
    pub(crate) grants: Option<Vec<Grant>>,
    /// Whether there may be holds that have not ended. They are not kept in memory.
    pub(crate) has_holds: bool,
    /// Some counters.
    pub(crate) counters: Vec<Counter>,
}

/// All rows of a kind that were read of a user.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    Overrides(Vec<Override>),
    Grants(Vec<Grant>),
    /// There are no holds that live.
    NoHolds,
}

/// A change of what is known of a user.
#[derive(Debug, Clone)]
pub(crate) enum KnownChange {
    /// Counters that were read, and are as they were.
    LearnCounters(Vec<Counter>),
    Set(CounterKey, Option<CounterValue>),
    Begin(Subscription),
    End(SubscriptionId),
    Quantities(SubscriptionId, Quantities),
    Timing(SubscriptionId, Timing),
    PutOverride(Box<Override>),
    DeleteOverride(FeatureId),
    PutGrant(Box<Grant>),
    SetDrawn(GrantKey, i64),
    DeleteGrant(GrantKey),
    /// There is a hold, which may have ended.
    Hold,
    /// Nothing changes: these were read before anything did.
    LearnRows(Rows),
}

impl KnownUser {
    /// The user with the subscriptions that run, and no counter.
    pub(crate) fn new(facts: &UserFacts) -> Self {
        Self {
            key: facts.key,
            running: facts.subscriptions().to_vec(),
            overrides: (!facts.has_overrides()).then(Vec::new),
            grants: (!facts.has_grants()).then(Vec::new),
            has_holds: facts.has_holds(),
            counters: Vec::new(),
        }
    }

    /// Returns it as the facts of the user with this id.
    pub(crate) fn into_facts(self, id: &UserId) -> UserFacts {
        let has_some = |is_empty: Option<bool>| !is_empty.unwrap_or(false);
        let mut facts = UserFacts::new(self.key, id.clone(), self.running)
            .with_overrides(has_some(self.overrides.as_ref().map(Vec::is_empty)))
            .with_grants(has_some(self.grants.as_ref().map(Vec::is_empty)))
            .with_holds(self.has_holds)
            .with_counters(self.counters);
        if let Some(overrides) = self.overrides {
            facts.load_overrides(overrides);
        }
        if let Some(grants) = self.grants {
            facts.load_grants(grants);
        }
        facts
    }

    /// Returns true if the id, in the place of a subscription's, is that of a known override, or stands for
    /// the user's grants.
    pub(super) fn counts_by_itself(&self, id: SubscriptionId) -> bool {
        let mut overrides = self.overrides.iter().flatten();
        overrides.any(|known| known.id.0 == id.0) || id == SubscriptionId::of_grants(self.key)
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

    /// Adds all rows of a kind that were read.
    pub(crate) fn learn_rows(&mut self, rows: Rows) {
        match rows {
            Rows::Overrides(rows) if self.overrides.is_none() => self.overrides = Some(rows),
            Rows::Grants(rows) if self.grants.is_none() => self.grants = Some(rows),
            Rows::NoHolds => self.has_holds = false,
            Rows::Overrides(_) | Rows::Grants(_) => {}
        }
    }

    /// Makes a change that was committed.
    pub(super) fn apply(&mut self, change: &KnownChange) {
        match change {
            KnownChange::LearnCounters(counters) => self.learn(counters),
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
            KnownChange::PutOverride(new) => {
                let is_replaced = |known: &Override| known.feature == new.feature;
                replace(&mut self.overrides, is_replaced, Some(Override::clone(new)));
            }
            KnownChange::DeleteOverride(feature) => {
                replace(&mut self.overrides, |known| known.feature == *feature, None);
            }
            KnownChange::PutGrant(new) => {
                let is_replaced = |known: &Grant| known.key == new.key;
                replace(&mut self.grants, is_replaced, Some(Grant::clone(new)));
            }
            KnownChange::SetDrawn(grant, drawn) => {
                let mut known = self.grants.iter_mut().flatten();
                if let Some(known) = known.find(|known| known.key == *grant) {
                    known.drawn = *drawn;
                }
            }
            KnownChange::DeleteGrant(grant) => {
                replace(&mut self.grants, |known| known.key == *grant, None);
            }
            KnownChange::LearnRows(rows) => self.learn_rows(rows.clone()),
            KnownChange::Hold => self.has_holds = true,
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

/// Puts a row in the place of what it replaces, if all rows are known.
fn replace<T>(rows: &mut Option<Vec<T>>, is_replaced: impl Fn(&T) -> bool, new: Option<T>) {
    if let Some(known) = rows {
        known.retain(|known| !is_replaced(known));
        known.extend(new);
    }
}
