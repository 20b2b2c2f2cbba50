use std::collections::HashMap;
use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::facts::{Change, CounterKey, Need, Obstacle, UserFacts};
use kana_core::id::{FeatureId, HoldId, IdempotencyKey, SubscriptionId, UserId, UserKey};
use kana_core::idempotency::Replays;
use kana_core::subjects::{Subject, Subjects};
use kana_core::{Refusal, Timestamp};
use kana_store::{EnvironmentId, StoreError, Transaction};

use super::catalogs::Catalogs;
use crate::error::Error;

/// How often a rule can ask for more facts before it must answer. The longest chain of the rules is that of
/// `settleHold`: a hold, ended subscriptions, overrides, a counter, those that include it, other holds, the counters
/// of earlier periods, those that one of them has taken over, grants.
pub(crate) const ROUNDS_MAX: usize = 10;

/// Where the facts of a user are. A user who gets another id keeps the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(usize);

/// Facts of users of one environment, loaded through one transaction as the rules need them.
pub(crate) struct FactsInUse {
    environment: EnvironmentId,
    /// The catalog of the same instant as the facts.
    pub(crate) catalog: Arc<Catalog>,
    /// The place of each id. An id that is free has one for the user who gets it.
    places: foldhash::HashMap<UserId, Place>,
    /// By place; `None` for an id that is free.
    users: Vec<Option<UserFacts>>,
    /// By place: whether a change was applied. Empty until one is, since questions change nothing.
    changed: Vec<bool>,
    /// The places of the users whose subscriptions are named by commands.
    subscribers: HashMap<SubscriptionId, Place>,
    /// The places of the users whose usage is named by commands, by the keys that it was recorded under.
    recorders: HashMap<IdempotencyKey, Place>,
    pub(crate) replays: Replays,
    /// Idempotency keys that were stored before this have expired.
    kept_since: Timestamp,
    /// Expired keys that were found. They must be deleted before they are used again.
    pub(crate) outdated: Vec<IdempotencyKey>,
}

/// Facts that are needed, grouped so that each kind is loaded in one call.
#[derive(Default)]
pub(crate) struct Wanted {
    ended_subscriptions: Vec<(Place, UserKey)>,
    overrides: Vec<(Place, UserKey)>,
    grants: Vec<(Place, UserKey)>,
    living_holds: Vec<(Place, (UserKey, FeatureId))>,
    /// The earliest instant at which holds are wanted.
    holds_since: Option<Timestamp>,
    holds: Vec<(Place, (UserKey, HoldId))>,
    counters: Vec<(Place, (UserKey, CounterKey))>,
    profiles: Vec<(Place, UserId)>,
    replays: Vec<IdempotencyKey>,
}

impl FactsInUse {
    /// Loads the facts of `users`, each named once, with the catalog of the same instant.
    pub(crate) async fn load(
        transaction: &mut dyn Transaction,
        catalogs: &Catalogs,
        environment: EnvironmentId,
        users: Vec<UserId>,
    ) -> Result<Self, Error> {
        let facts = transaction.facts(environment, &users).await?;
        let catalog = catalogs.at(transaction, environment, facts.catalog_version).await?;
        Ok(Self {
            environment,
            catalog,
            places: users.into_iter().zip((0..).map(Place)).collect(),
            changed: Vec::new(),
            users: facts.users,
            subscribers: HashMap::new(),
            recorders: HashMap::new(),
            replays: Replays::default(),
            kept_since: Timestamp::MIN,
            outdated: Vec::new(),
        })
    }

    /// Treats keys that were stored before `kept_since` as expired.
    pub(crate) fn with_keys_kept_since(self, kept_since: Timestamp) -> Self {
        Self { kept_since, ..self }
    }

    /// Adds the stored owners of subscriptions.
    pub(crate) fn with_subscribers(mut self, owners: HashMap<SubscriptionId, UserId>) -> Self {
        let place = |(id, owner)| self.place(&owner).map(|place| (id, place));
        self.subscribers = owners.into_iter().filter_map(place).collect();
        self
    }

    /// Adds the users whose usage was recorded under keys, with their ids. Fails with a conflict if one of
    /// them has another id by now.
    pub(crate) fn with_recorders(
        mut self,
        recorders: HashMap<IdempotencyKey, (UserId, UserKey)>,
    ) -> Result<Self, Error> {
        for (key, (id, user)) in recorders {
            let place = self
                .place(&id)
                .filter(|place| self.at(*place).is_some_and(|facts| facts.key == user));
            let Some(place) = place else {
                let why = "a user's id has changed meanwhile";
                return Err(StoreError::Conflict(why.into()).into());
            };
            self.recorders.insert(key, place);
        }
        Ok(self)
    }

    /// The place of the user who has this id now. An id that is free has a place, too.
    pub(crate) fn place(&self, id: &UserId) -> Option<Place> {
        self.places.get(id).copied()
    }

    /// The places of the users whom a command names, by the ids that they have now.
    pub(crate) fn places(&self, subjects: &Subjects<Subject<'_>>) -> Subjects<Option<Place>> {
        subjects.map(|subject| match subject {
            Subject::User(id) => self.place(id),
            Subject::Subscriber(id) => self.subscribers.get(id).copied(),
            Subject::Recorder(key) => self.recorders.get(*key).copied(),
        })
    }

    /// The user who has this id now.
    pub(crate) fn user(&self, id: &UserId) -> Option<&UserFacts> {
        self.at(self.place(id)?)
    }

    /// The user at this place.
    pub(crate) fn at(&self, place: Place) -> Option<&UserFacts> {
        self.users.get(place.0)?.as_ref()
    }

    /// Returns true if a change was applied to the user at this place.
    pub(crate) fn has_changed(&self, place: Place) -> bool {
        self.changed.get(place.0).copied().unwrap_or(false)
    }

    fn note_change(&mut self, place: Place) {
        self.changed.resize(self.users.len(), false);
        if let Some(changed) = self.changed.get_mut(place.0) {
            *changed = true;
        }
    }

    fn at_mut(&mut self, place: Place) -> Option<&mut UserFacts> {
        self.users.get_mut(place.0)?.as_mut()
    }

    /// Returns which of the places is the user's.
    fn place_of(&self, user: UserKey, places: &Subjects<Option<Place>>) -> Option<Place> {
        let is_of_user = |place: &Place| self.at(*place).is_some_and(|facts| facts.key == user);
        places.iter().flatten().copied().find(is_of_user)
    }

    /// Adds what a rule needs about the users at these places.
    pub(crate) fn want(&self, need: Need, places: &Subjects<Option<Place>>, wanted: &mut Wanted) {
        // Rules need facts only of users whom the command names.
        let place = |user| self.place_of(user, places);
        match need {
            Need::Replay(key) => wanted.replays.push(key),
            Need::EndedSubscriptions(user) => {
                wanted.ended_subscriptions.extend(place(user).map(|place| (place, user)));
            }
            Need::Overrides(user) => {
                wanted.overrides.extend(place(user).map(|place| (place, user)));
            }
            Need::Grants(user) => wanted.grants.extend(place(user).map(|place| (place, user))),
            Need::LivingHolds(user, balances, since) => {
                let Some(place) = place(user) else { return };
                let of_user = |balance| (place, (user, balance));
                wanted.living_holds.extend(balances.into_iter().map(of_user));
                let earliest = wanted.holds_since.map_or(since, |earlier| earlier.min(since));
                wanted.holds_since = Some(earliest);
            }
            Need::Hold(user, id) => {
                wanted.holds.extend(place(user).map(|place| (place, (user, id))));
            }
            Need::Counters(user, counters) => {
                let Some(place) = place(user) else { return };
                let of_user = |counter| (place, (user, counter));
                wanted.counters.extend(counters.into_iter().map(of_user));
            }
            Need::Profile(user) => {
                let Some(place) = place(user) else { return };
                // A user who got another id in this batch has a profile, so this is the stored id.
                let id = self.at(place).map(|facts| (place, facts.id.clone()));
                wanted.profiles.extend(id);
            }
        }
    }

    /// Loads what is wanted, each fact once, with one call for each kind.
    pub(crate) async fn supply(
        &mut self,
        transaction: &mut dyn Transaction,
        mut wanted: Wanted,
    ) -> Result<(), Error> {
        wanted.drop_duplicates();
        self.supply_holds(transaction, &mut wanted).await?;
        let environment = self.environment;
        if !wanted.replays.is_empty() {
            let replays = transaction.replays(environment, &wanted.replays).await?;
            for (key, replay) in wanted.replays.into_iter().zip(replays) {
                let is_outdated =
                    replay.as_ref().is_some_and(|replay| replay.kept_at < self.kept_since);
                if is_outdated {
                    self.outdated.push(key.clone());
                }
                self.replays.load(key, replay.filter(|_| !is_outdated));
            }
        }
        if !wanted.ended_subscriptions.is_empty() {
            let (places, keys): (Vec<_>, Vec<_>) = wanted.ended_subscriptions.into_iter().unzip();
            let ended = transaction.ended_subscriptions(environment, &keys).await?;
            for (place, ended) in places.into_iter().zip(ended) {
                if let Some(facts) = self.at_mut(place) {
                    facts.load_ended_subscriptions(ended);
                }
            }
        }
        if !wanted.overrides.is_empty() {
            let (places, keys): (Vec<_>, Vec<_>) = wanted.overrides.into_iter().unzip();
            let overrides = transaction.overrides_of(environment, &keys).await?;
            for (place, overrides) in places.into_iter().zip(overrides) {
                if let Some(facts) = self.at_mut(place) {
                    facts.load_overrides(overrides);
                }
            }
        }
        if !wanted.grants.is_empty() {
            let (places, keys): (Vec<_>, Vec<_>) = wanted.grants.into_iter().unzip();
            let grants = transaction.grants_of(environment, &keys).await?;
            for (place, grants) in places.into_iter().zip(grants) {
                if let Some(facts) = self.at_mut(place) {
                    facts.load_grants(grants);
                }
            }
        }
        if !wanted.counters.is_empty() {
            let (places, counters): (Vec<_>, Vec<_>) = wanted.counters.into_iter().unzip();
            let values = transaction.counters(environment, &counters).await?;
            for ((place, (_, counter)), value) in places.into_iter().zip(counters).zip(values) {
                if let Some(facts) = self.at_mut(place) {
                    facts.load_counter(counter, value);
                }
            }
        }
        if !wanted.profiles.is_empty() {
            let (places, ids): (Vec<_>, Vec<_>) = wanted.profiles.into_iter().unzip();
            let profiles = transaction.users(environment, &ids).await?;
            for (place, profile) in places.into_iter().zip(profiles) {
                if let (Some(facts), Some(profile)) = (self.at_mut(place), profile) {
                    facts.load_profile(profile);
                }
            }
        }
        Ok(())
    }

    async fn supply_holds(
        &mut self,
        transaction: &mut dyn Transaction,
        wanted: &mut Wanted,
    ) -> Result<(), Error> {
        let environment = self.environment;
        if let Some(since) = wanted.holds_since {
            let (places, balances): (Vec<_>, Vec<_>) =
                std::mem::take(&mut wanted.living_holds).into_iter().unzip();
            let living = transaction.living_holds_of(environment, &balances, since).await?;
            for ((place, (_, balance)), living) in places.into_iter().zip(balances).zip(living) {
                if let Some(facts) = self.at_mut(place) {
                    facts.load_living_holds(balance, since, living);
                }
            }
        }
        if !wanted.holds.is_empty() {
            let (places, ids): (Vec<_>, Vec<_>) =
                std::mem::take(&mut wanted.holds).into_iter().unzip();
            let found = transaction.holds(environment, &ids).await?;
            for ((place, (_, id)), hold) in places.into_iter().zip(ids).zip(found) {
                if let Some(facts) = self.at_mut(place) {
                    facts.load_hold(id, hold);
                }
            }
        }
        Ok(())
    }

    /// Asks `rule` until it has the facts that it needs about the users at these places.
    pub(crate) async fn ask<T>(
        &mut self,
        transaction: &mut dyn Transaction,
        places: &Subjects<Option<Place>>,
        rule: impl Fn(&Self) -> Result<T, Obstacle>,
    ) -> Result<Result<T, Refusal>, Error> {
        for _ in 0..ROUNDS_MAX {
            match rule(self) {
                Ok(answer) => return Ok(Ok(answer)),
                Err(Obstacle::Refused(refusal)) => return Ok(Err(refusal)),
                Err(Obstacle::Needs(need)) => {
                    let mut wanted = Wanted::default();
                    self.want(need, places, &mut wanted);
                    self.supply(transaction, wanted).await?;
                }
            }
        }
        Err(Error::Bug("a rule went on asking for facts"))
    }

    /// Applies a change of a command that names the users at these places, for the commands after it.
    pub(crate) fn apply(
        &mut self,
        user: UserKey,
        change: &Change,
        places: &Subjects<Option<Place>>,
    ) {
        self.replays.apply(change);
        if let Change::CreateUser(new) = change {
            let Some(place) = self.place(&new.id) else { return };
            self.note_change(place);
            if let Some(user) = self.users.get_mut(place.0) {
                // The store has no profile of the user before the batch ends.
                let mut facts = UserFacts::new(new.key, new.id.clone(), Vec::new());
                facts.load_profile(new.clone());
                *user = Some(facts);
            }
            return;
        }
        if let Change::UpdateUser { user, previous_id: Some(previous) }
        | Change::DeleteUser { user, previous_id: previous } = change
            && let Some(place) = self.place(previous)
            && let Some(free) = self.places.insert(user.id.clone(), place)
        {
            // The ids change places, so the id that is free now has an empty one.
            self.places.insert(previous.clone(), free);
        }
        let Some(place) = self.place_of(user, places) else {
            return;
        };
        if let Change::AddSubscription(subscription) = change {
            self.subscribers.insert(subscription.id, place);
        }
        self.note_change(place);
        if let Some(facts) = self.at_mut(place) {
            facts.apply(change);
        }
    }
}

impl Wanted {
    /// Removes duplicates, since many commands of a batch can want the same fact.
    fn drop_duplicates(&mut self) {
        fn distinct<T: Ord>(wanted: &mut Vec<T>) {
            wanted.sort_unstable();
            wanted.dedup();
        }
        distinct(&mut self.ended_subscriptions);
        distinct(&mut self.overrides);
        distinct(&mut self.grants);
        distinct(&mut self.living_holds);
        distinct(&mut self.holds);
        distinct(&mut self.counters);
        distinct(&mut self.profiles);
        distinct(&mut self.replays);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.replays.is_empty()
            && self.ended_subscriptions.is_empty()
            && self.overrides.is_empty()
            && self.grants.is_empty()
            && self.living_holds.is_empty()
            && self.holds.is_empty()
            && self.counters.is_empty()
            && self.profiles.is_empty()
    }
}
