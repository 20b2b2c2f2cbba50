//! A user's facts: the unit of consistency. Every change to them is one decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::counter::CounterValue;
pub use crate::counter_key::CounterKey;
use crate::grant::{Grant, GrantKey};
use crate::hold::Hold;
use crate::id::{FeatureId, HoldId, IdempotencyKey, SubscriptionId, UserId, UserKey};
use crate::idempotency_record::Replay;
use crate::limit_crossing::LimitCrossing;
use crate::loaded_holds::LoadedHolds;
use crate::overrides::Override;
use crate::quantity::Quantities;
use crate::refusal::Refusal;
use crate::subscription::{AsOf, Subscription};
use crate::threshold::ThresholdEvent;
use crate::timestamp::Timestamp;
use crate::timing::Timing;
use crate::usage_event::UsageEvent;
use crate::user::User;

/// What is stored about one user, as far as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFacts {
    /// The permanent key under which everything here is stored.
    pub key: UserKey,
    /// The id that the product knows the user by.
    pub id: UserId,
    subscriptions: Vec<Subscription>,
    has_ended_subscriptions: bool,
    overrides: Stored<Override>,
    grants: Stored<Grant>,
    holds: LoadedHolds,
    profile: Option<User>,
    /// The loaded counters; `None` for a counter that was never written.
    counters: BTreeMap<CounterKey, Option<CounterValue>>,
}

/// What is known of things that few users have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stored<T> {
    /// There are some, which were not loaded.
    NotLoaded,
    /// All of them.
    Known(Vec<T>),
}

impl<T> Stored<T> {
    const NONE: Self = Self::Known(Vec::new());

    /// Returns true if there are some, or may be some that were not loaded.
    fn may_be_some(&self) -> bool {
        match self {
            Self::NotLoaded => true,
            Self::Known(known) => !known.is_empty(),
        }
    }

    /// Returns all of them, or fails with this need.
    fn all(&self, need: Need) -> Result<&[T], Obstacle> {
        match self {
            Self::NotLoaded => Err(Obstacle::Needs(need)),
            Self::Known(known) => Ok(known),
        }
    }

    /// Adds all of them, as they are stored.
    fn load(&mut self, stored: Vec<T>) {
        if matches!(self, Self::NotLoaded) {
            *self = Self::Known(stored);
        }
    }

    /// Puts a new one in the place of what it replaces. A command that changes any has asked for
    /// all of them first, so they are loaded.
    fn put(&mut self, new: Option<T>, is_replaced: impl Fn(&T) -> bool) {
        if let Self::Known(known) = self {
            known.retain(|known| !is_replaced(known));
            known.extend(new);
        }
    }
}

/// A fact that a rule asked for and that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The user's subscriptions that were ended, beside those that were not.
    EndedSubscriptions(UserKey),
    /// The user's overrides, also those that have ended.
    Overrides(UserKey),
    /// The user's grants, also those that have ended.
    Grants(UserKey),
    /// The user's holds on these balances that live at this instant or later.
    LivingHolds(UserKey, Vec<FeatureId>, Timestamp),
    /// The user's hold with this id, also one that is over.
    Hold(UserKey, HoldId),
    /// What the product knows of the user.
    Profile(UserKey),
    /// What these counters of the user hold.
    Counters(UserKey, Vec<CounterKey>),
    /// What was answered under this key.
    Replay(IdempotencyKey),
}

/// Why a rule gave no answer: it refuses, or it needs facts that were not loaded.
///
/// Rules say themselves what they need, so that nobody has to know it beforehand: whoever asks
/// loads it and asks again. A fact that was not loaded can so never be mistaken for an absent one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The request is refused.
    Refused(Refusal),
    /// The request can be answered once this is loaded.
    Needs(Need),
}

impl<R: Into<Refusal>> From<R> for Obstacle {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

/// A change of what is stored about one user, or in one environment under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The user is new.
    CreateUser(User),
    /// The user is so from now on.
    UpdateUser {
        /// The user.
        user: User,
        /// The earlier id, if the user has a new one. It is free from now on.
        previous_id: Option<UserId>,
    },
    /// Nothing of the user is known any more but usage. The earlier id is free from now on, and stands
    /// nowhere in what is kept of changes and of the audit log.
    DeleteUser {
        /// What is left of the user: a random id.
        user: User,
        /// The earlier id.
        previous_id: UserId,
    },
    /// The subscription is new.
    AddSubscription(Subscription),
    /// The subscription is cancelled at this instant.
    CancelSubscription {
        /// Which one.
        subscription: SubscriptionId,
        /// When it ends.
        ended_at: Timestamp,
    },
    /// The subscription has had these quantities, of which the newest counts from now on.
    SetQuantities {
        /// Which one.
        subscription: SubscriptionId,
        /// Its quantities.
        quantities: Quantities,
    },
    /// The subscription begins, ends and is on trial so from now on.
    SetTiming {
        /// Which one.
        subscription: SubscriptionId,
        /// Its timing.
        timing: Timing,
    },
    /// The override is so from now on, in the place of an earlier one of the same feature.
    PutOverride(Override),
    /// The user has no override of this feature from now on.
    DeleteOverride {
        /// Which feature.
        feature: FeatureId,
    },
    /// The grant is so from now on, in the place of an earlier one of the same key.
    PutGrant(Grant),
    /// So much of the grant is drawn.
    SetDrawn {
        /// Which one.
        grant: GrantKey,
        /// How much counters have drawn.
        drawn: i64,
    },
    /// The grant is forgotten.
    DeleteGrant {
        /// Which one.
        grant: GrantKey,
    },
    /// The hold is so from now on, in the place of an earlier one of the same id.
    PutHold(Hold),
    /// The counter holds this from now on.
    SetCounter {
        /// Which one.
        counter: CounterKey,
        /// What it holds.
        value: CounterValue,
    },
    /// The counter is deleted; its value is part of another one.
    DeleteCounter {
        /// Which one.
        counter: CounterKey,
    },
    /// The event goes to the log.
    LogEvent(UsageEvent),
    /// Usage has crossed a share of its budget. An earlier crossing of the same share in the same
    /// period is replaced.
    CrossLimit(LimitCrossing),
    /// Usage has reached a threshold.
    ReachThreshold(ThresholdEvent),
    /// The answer is kept under its key. An earlier record of the key must be
    /// [forgotten](crate::decide::Decision::replaces_key) first.
    KeepReplay {
        /// The key.
        key: IdempotencyKey,
        /// What was asked and what was answered.
        replay: Replay,
    },
}

/// A change, with the user whose it is.
pub type UserChange = (UserKey, Change);

impl UserFacts {
    /// The facts of a user with the subscriptions that run: those that were not ended. An end that was set
    /// may have come, and a start may lie ahead.
    #[must_use]
    pub fn new(key: UserKey, id: UserId, running: Vec<Subscription>) -> Self {
        debug_assert!(running.iter().all(|subscription| subscription.ended_at.is_none()));
        Self {
            key,
            id,
            subscriptions: running,
            has_ended_subscriptions: false,
            overrides: Stored::NONE,
            grants: Stored::NONE,
            holds: LoadedHolds::default(),
            profile: None,
            counters: BTreeMap::new(),
        }
    }

    /// Adds counters, each with its stored value; `None` for a counter that was never written.
    #[must_use]
    pub fn with_counters(
        self,
        counters: impl IntoIterator<Item = (CounterKey, Option<CounterValue>)>,
    ) -> Self {
        Self { counters: counters.into_iter().collect(), ..self }
    }

    /// Says that the user has overrides, which rules must ask for.
    #[must_use]
    pub fn with_overrides(mut self, has_overrides: bool) -> Self {
        if has_overrides {
            self.overrides = Stored::NotLoaded;
        }
        self
    }

    /// Says that the user has grants, which rules must ask for.
    #[must_use]
    pub fn with_grants(mut self, has_grants: bool) -> Self {
        if has_grants {
            self.grants = Stored::NotLoaded;
        }
        self
    }

    /// Says that the user has holds that have not ended, of which rules must ask for those that live.
    #[must_use]
    pub fn with_holds(mut self, has_holds: bool) -> Self {
        if has_holds {
            self.holds.note_stored();
        }
        self
    }

    /// Returns true if the user has overrides, or may have some that were not loaded.
    #[must_use]
    pub fn has_overrides(&self) -> bool {
        self.overrides.may_be_some()
    }

    /// Returns true if the user has grants, or may have some that were not loaded.
    #[must_use]
    pub fn has_grants(&self) -> bool {
        self.grants.may_be_some()
    }

    /// Returns true if the user has holds that have not ended, which may live.
    #[must_use]
    pub fn has_holds(&self) -> bool {
        self.holds.may_live()
    }

    /// The user's overrides, those that have ended included, in no order.
    pub fn overrides(&self) -> Result<&[Override], Obstacle> {
        self.overrides.all(Need::Overrides(self.key))
    }

    /// The user's grants, those that have ended included, in no order.
    pub fn grants(&self) -> Result<&[Grant], Obstacle> {
        self.grants.all(Need::Grants(self.key))
    }

    /// The user's holds on a balance that live at an instant, in no order.
    pub fn living_holds<'a>(
        &'a self,
        balance: &'a FeatureId,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = &'a Hold>, Obstacle> {
        self.need_living_holds([balance], now)?;
        Ok(self.holds.living(balance, now))
    }

    /// Fails with all of these balances at once whose holds that live at an instant are not loaded. A rule about
    /// several balances asks for them together, since it can ask only so often.
    pub fn need_living_holds<'a>(
        &self,
        balances: impl IntoIterator<Item = &'a FeatureId>,
        now: Timestamp,
    ) -> Result<(), Obstacle> {
        let balances = balances.into_iter();
        let lacking = balances.filter(|balance| !self.holds.are_loaded(balance, now));
        let lacking: BTreeSet<&FeatureId> = lacking.collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let lacking = lacking.into_iter().cloned().collect();
        Err(Obstacle::Needs(Need::LivingHolds(self.key, lacking, now)))
    }

    /// The user's hold with this id; `None` if there is none, or it is forgotten.
    pub fn hold(&self, id: &HoldId) -> Result<Option<&Hold>, Obstacle> {
        let need = || Obstacle::Needs(Need::Hold(self.key, id.clone()));
        self.holds.named(id).ok_or_else(need)
    }

    /// Returns the override of the feature that lives at that time, if there is one.
    pub(crate) fn living_override(
        &self,
        feature: &FeatureId,
        as_of: AsOf,
    ) -> Result<Option<&Override>, Obstacle> {
        let found = self.overrides()?.iter().find(|known| known.feature == *feature);
        Ok(found.filter(|known| known.lives(as_of)))
    }

    /// Adds the overrides, as they are stored.
    pub fn load_overrides(&mut self, stored: Vec<Override>) {
        self.overrides.load(stored);
    }

    /// Adds the grants, as they are stored.
    pub fn load_grants(&mut self, stored: Vec<Grant>) {
        self.grants.load(stored);
    }

    /// Adds the holds on a balance that live at an instant or later, as they are stored.
    pub fn load_living_holds(&mut self, balance: FeatureId, since: Timestamp, stored: Vec<Hold>) {
        self.holds.load_living(balance, since, stored);
    }

    /// Adds what is stored of a hold; `None` if there is none with this id.
    pub fn load_hold(&mut self, id: HoldId, stored: Option<Hold>) {
        self.holds.load_named(id, stored);
    }

    /// The subscriptions that were loaded, which include all that can grant anything now.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Returns the subscription with this id, if it was loaded, as those are that run.
    pub(crate) fn running(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.iter().find(|known| known.id == id)
    }

    /// All subscriptions, the ended ones included.
    pub fn all_subscriptions(&self) -> Result<&[Subscription], Obstacle> {
        if self.has_ended_subscriptions {
            Ok(&self.subscriptions)
        } else {
            Err(Obstacle::Needs(Need::EndedSubscriptions(self.key)))
        }
    }

    /// What the product knows of the user.
    pub fn profile(&self) -> Result<&User, Obstacle> {
        self.profile.as_ref().ok_or(Obstacle::Needs(Need::Profile(self.key)))
    }

    /// Returns the counter's stored usage: `None` if it was not loaded, `Some(None)` if it was
    /// never written.
    #[must_use]
    pub fn stored(&self, counter: &CounterKey) -> Option<Option<i64>> {
        self.counter(counter).map(|value| value.map(|value| value.used))
    }

    /// Returns what the counter holds: `None` if it was not loaded, `Some(None)` if it was never
    /// written.
    #[must_use]
    pub fn counter(&self, counter: &CounterKey) -> Option<Option<&CounterValue>> {
        self.counters.get(counter).map(Option::as_ref)
    }

    /// Returns the counters that are there, as far as they were loaded.
    pub(crate) fn known_counters(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        let value =
            |(counter, value): (_, &Option<CounterValue>)| Some((counter, value.as_ref()?.used));
        self.counters.iter().filter_map(value)
    }

    /// Adds the ended subscriptions, as they are stored. Those that this batch has ended already
    /// stay as they are.
    pub fn load_ended_subscriptions(&mut self, ended: Vec<Subscription>) {
        for subscription in ended {
            if self.subscriptions.iter().all(|known| known.id != subscription.id) {
                self.subscriptions.push(subscription);
            }
        }
        self.has_ended_subscriptions = true;
    }

    /// Adds what the product knows of the user, as it is stored.
    pub fn load_profile(&mut self, profile: User) {
        self.profile.get_or_insert(profile);
    }

    /// Adds a counter's stored value; `None` for a counter that was never written.
    pub fn load_counter(&mut self, counter: CounterKey, value: Option<CounterValue>) {
        self.counters.entry(counter).or_insert(value);
    }

    /// Makes one change to these facts, as the store will.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::UpdateUser { user, .. } => {
                self.id = user.id.clone();
                self.profile = Some(user.clone());
            }
            Change::DeleteUser { user, .. } => {
                self.id = user.id.clone();
                self.profile = Some(user.clone());
                self.overrides = Stored::NONE;
                self.grants = Stored::NONE;
            }
            Change::PutOverride(new) => {
                self.overrides.put(Some(new.clone()), |known| known.feature == new.feature);
            }
            Change::DeleteOverride { feature } => {
                self.overrides.put(None, |known| known.feature == *feature);
            }
            Change::PutGrant(new) => {
                self.grants.put(Some(new.clone()), |known| known.key == new.key);
            }
            Change::SetDrawn { grant, drawn } => {
                if let Stored::Known(known) = &mut self.grants {
                    let found = known.iter_mut().find(|known| known.key == *grant);
                    found.into_iter().for_each(|known| known.drawn = *drawn);
                }
            }
            Change::DeleteGrant { grant } => self.grants.put(None, |known| known.key == *grant),
            Change::PutHold(new) => self.holds.put(new),
            Change::AddSubscription(subscription) => {
                self.subscriptions.push(subscription.clone());
            }
            Change::CancelSubscription { subscription, ended_at } => {
                for known in &mut self.subscriptions {
                    if known.id == *subscription {
                        known.status = crate::subscription::SubscriptionStatus::Cancelled;
                        known.ended_at = Some(*ended_at);
                    }
                }
            }
            Change::SetQuantities { subscription, quantities } => {
                for known in &mut self.subscriptions {
                    if known.id == *subscription {
                        known.quantities = quantities.clone();
                    }
                }
            }
            Change::SetTiming { subscription, timing } => {
                for known in &mut self.subscriptions {
                    if known.id == *subscription {
                        known.timing = *timing;
                    }
                }
            }
            Change::SetCounter { counter, value } => {
                self.counters.insert(counter.clone(), Some(value.clone()));
            }
            Change::DeleteCounter { counter } => {
                self.counters.insert(counter.clone(), None);
            }
            // A new user's facts are made from the change; no rule asks for the others.
            Change::CreateUser(_)
            | Change::LogEvent(_)
            | Change::CrossLimit(_)
            | Change::ReachThreshold(_)
            | Change::KeepReplay { .. } => {}
        }
    }
}
