use std::collections::HashMap;
use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::facts::{CounterKey, Need, Obstacle, UserFacts};
use kana_core::id::{IdempotencyKey, UserId, UserKey};
use kana_core::idempotency::Replays;
use kana_core::{Refusal, Timestamp};
use kana_store::{EnvironmentId, Transaction};

use super::catalogs::Catalogs;
use crate::error::Error;

/// How often a rule can ask for more facts before it must answer. The longest chain of the rules is an
/// idempotency record, then ended subscriptions, then counters.
pub(crate) const ROUNDS_MAX: usize = 8;

/// Facts of users of one environment, loaded through one transaction as the rules need them.
pub(crate) struct FactsInUse {
    environment: EnvironmentId,
    /// The catalog of the same instant as the facts.
    pub(crate) catalog: Arc<Catalog>,
    /// `None` for a user that does not exist.
    pub(crate) users: HashMap<UserId, Option<UserFacts>>,
    pub(crate) replays: Replays,
    /// Idempotency keys that were stored before this have expired.
    kept_since: Timestamp,
    /// Expired keys that were found. They must be deleted before they are used again.
    pub(crate) outdated: Vec<IdempotencyKey>,
}

/// Facts that are needed, grouped so that each kind is loaded in one call.
#[derive(Default)]
pub(crate) struct Wanted {
    ended_subscriptions: Vec<(UserId, UserKey)>,
    counters: Vec<(UserId, (UserKey, CounterKey))>,
    profiles: Vec<UserId>,
    /// Which ids must be looked up for whose facts.
    ids_taken: Vec<(UserId, UserId)>,
    replays: Vec<IdempotencyKey>,
}

impl FactsInUse {
    /// Loads the facts of `users`, with the catalog of the same instant.
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
            users: users.into_iter().zip(facts.users).collect(),
            replays: Replays::default(),
            kept_since: Timestamp::MIN,
            outdated: Vec::new(),
        })
    }

    /// Treats keys that were stored before `kept_since` as expired.
    pub(crate) fn with_keys_kept_since(self, kept_since: Timestamp) -> Self {
        Self { kept_since, ..self }
    }

    pub(crate) fn user(&self, id: &UserId) -> Option<&UserFacts> {
        self.users.get(id).and_then(Option::as_ref)
    }

    /// Adds what a rule needs about a user.
    pub(crate) fn want(&self, user: Option<&UserId>, need: Need, wanted: &mut Wanted) {
        let facts = user.and_then(|user| self.user(user));
        match (need, facts) {
            (Need::Replay(key), _) => wanted.replays.push(key),
            (Need::EndedSubscriptions, Some(facts)) => {
                wanted.ended_subscriptions.push((facts.id.clone(), facts.key));
            }
            (Need::Counters(counters), Some(facts)) => {
                let of_user = |counter| (facts.id.clone(), (facts.key, counter));
                wanted.counters.extend(counters.into_iter().map(of_user));
            }
            (Need::Profile, Some(facts)) => wanted.profiles.push(facts.id.clone()),
            (Need::IdTaken(id), Some(facts)) => wanted.ids_taken.push((facts.id.clone(), id)),
            // Rules need these only for a user whose facts they have.
            (
                Need::EndedSubscriptions | Need::Counters(_) | Need::Profile | Need::IdTaken(_),
                None,
            ) => {}
        }
    }

    /// Loads what is wanted, each fact once, with one call for each kind.
    pub(crate) async fn supply(
        &mut self,
        transaction: &mut dyn Transaction,
        mut wanted: Wanted,
    ) -> Result<(), Error> {
        wanted.drop_duplicates();
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
            let (ids, keys): (Vec<_>, Vec<_>) = wanted.ended_subscriptions.into_iter().unzip();
            let ended = transaction.ended_subscriptions(environment, &keys).await?;
            for (id, ended) in ids.iter().zip(ended) {
                if let Some(Some(facts)) = self.users.get_mut(id) {
                    facts.load_ended_subscriptions(ended);
                }
            }
        }
        if !wanted.counters.is_empty() {
            let (ids, counters): (Vec<_>, Vec<_>) = wanted.counters.into_iter().unzip();
            let used = transaction.counters(environment, &counters).await?;
            for ((id, (_, counter)), used) in ids.iter().zip(counters).zip(used) {
                if let Some(Some(facts)) = self.users.get_mut(id) {
                    facts.load_counter(counter, used);
                }
            }
        }
        if !wanted.profiles.is_empty() {
            let profiles = transaction.users(environment, &wanted.profiles).await?;
            for profile in profiles.into_iter().flatten() {
                if let Some(Some(facts)) = self.users.get_mut(&profile.id) {
                    facts.load_profile(profile);
                }
            }
        }
        if !wanted.ids_taken.is_empty() {
            let (users, ids): (Vec<_>, Vec<_>) = wanted.ids_taken.into_iter().unzip();
            let taken = transaction.ids_taken(environment, &ids).await?;
            for ((user, id), taken) in users.iter().zip(ids).zip(taken) {
                if let Some(Some(facts)) = self.users.get_mut(user) {
                    facts.load_id_taken(id, taken);
                }
            }
        }
        Ok(())
    }

    /// Asks `rule` until it has the facts about `user` that it needs.
    pub(crate) async fn ask<T>(
        &mut self,
        transaction: &mut dyn Transaction,
        user: Option<&UserId>,
        rule: impl Fn(&Self) -> Result<T, Obstacle>,
    ) -> Result<Result<T, Refusal>, Error> {
        for _ in 0..ROUNDS_MAX {
            match rule(self) {
                Ok(answer) => return Ok(Ok(answer)),
                Err(Obstacle::Refused(refusal)) => return Ok(Err(refusal)),
                Err(Obstacle::Needs(need)) => {
                    let mut wanted = Wanted::default();
                    self.want(user, need, &mut wanted);
                    self.supply(transaction, wanted).await?;
                }
            }
        }
        Err(Error::Bug("a rule went on asking for facts"))
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
        distinct(&mut self.counters);
        distinct(&mut self.profiles);
        distinct(&mut self.ids_taken);
        distinct(&mut self.replays);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.replays.is_empty()
            && self.ended_subscriptions.is_empty()
            && self.counters.is_empty()
            && self.profiles.is_empty()
            && self.ids_taken.is_empty()
    }
}
