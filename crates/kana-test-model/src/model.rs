//! The contract (`entitlements.md`, `admin-api.md`) as plain sequential code: one environment, one
//! request after another, everything in lists that are searched from end to end.

mod carrying;
mod catalog;
mod changing;
mod grants;
mod holds;
mod overrides;
mod stretches;
mod subscribing;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Answer, Reached, Refusal, Status, Subscription, User};
use crate::mistake::Mistake;
use crate::request::{At, DELETED, Edit, Id, Name, NewPackage, Request};

/// Everything that is kept, and nothing that follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Model {
    /// What it gets wrong, if it is to.
    mistake: Option<Mistake>,
    /// In order of creation, each with whether it is binary.
    features: Vec<(Name, bool)>,
    /// In order of creation.
    packages: Vec<(NewPackage, Status)>,
    users: Vec<User>,
    /// Each with the key of its user.
    subscriptions: Vec<(Id, Subscription)>,
    /// What was said of each ahead of time.
    said: BTreeMap<Id, stretches::Said>,
    /// Which quantity a subscription had since when, oldest first.
    quantities: Vec<(Id, At, i64)>,
    /// At most one for each user and feature.
    overrides: Vec<overrides::Held>,
    /// How many were ever made.
    overrides_made: u128,
    /// All that there ever were, in order of creation.
    grants: Vec<grants::Given>,
    /// What counters drew from which of them; never 0.
    drawn: BTreeMap<(grants::Counter, usize), i64>,
    /// In order of creation.
    holds: Vec<holds::Kept>,
    /// What was used of a feature under a subscription in the period that starts then.
    used: BTreeMap<(Id, Name, At), i64>,
    /// Which counters go on with the usage of another one.
    carried: BTreeMap<grants::Counter, grants::Counter>,
    /// How often that was SET.
    sets: BTreeMap<(Id, Name, At), usize>,
    /// What features draw on, and at what cost.
    draws: BTreeMap<Name, (Name, i64)>,
    /// The features that have thresholds.
    with_thresholds: BTreeSet<Name>,
    /// What was reached, each with the keys of the user and of the subscription that counted.
    reached: BTreeSet<(Id, Id, Reached)>,
    /// What was counted under an idempotency key.
    counted: BTreeMap<Name, usage::Counted>,
    /// What was asked under an idempotency key, and what was answered.
    keys: BTreeMap<Name, (usage::Content, Answer)>,
    /// The length of the log of usage.
    events: usize,
}

impl Model {
    /// One that gets one thing wrong.
    pub fn with(mistake: Mistake) -> Self {
        Self { mistake: Some(mistake), ..Self::default() }
    }

    /// The idempotency keys that were used.
    pub fn keys(&self) -> impl Iterator<Item = Name> {
        self.keys.keys().copied()
    }

    fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Answers a request at that time. What it makes gets the ids in `given`, which are for Kana
    /// to choose.
    pub fn answer(&mut self, request: &Request, now: At, given: &[Id]) -> Answer {
        let answer = match request {
            Request::CreateUser { user, name, email } => {
                self.create_user(user, *name, *email, given)
            }
            Request::UpdateUser { user, new_id, name, email } => {
                self.update_user(user, *new_id, *name, *email)
            }
            Request::DeleteUser(user) => self.delete_user(user, now),
            Request::Subscribe { user, packages, quantities, started_at, ahead } => {
                let quantities = quantities.as_deref();
                let start = (*started_at, *ahead);
                self.subscribe(user, (packages, quantities), start, now, given)
            }
            Request::SetEnd { id, at } => self.set_end(*id, *at, now),
            Request::UpdateSubscription { id, quantity } => self.update(*id, *quantity, now),
            Request::CancelSubscription(id) => self.cancel(*id, now),
            Request::ChangePackage { id, package, at, carries, quantity } => {
                self.change_package((*id, package), (*at, *carries, *quantity), now, given)
            }
            Request::SetOverride { user, feature, says, ends_at } => {
                self.set_override(user, feature, (*says, *ends_at), now)
            }
            Request::RemoveOverride { user, feature } => self.remove_override(user, feature, now),
            Request::CreateGrant(giving) => self.create_grant(*giving, now),
            Request::VoidGrant { user, id } => self.void_grant(user, id, now),
            Request::Grants { user, feature } => self.grants(user, feature, now),
            Request::CreateHold(holding) => self.create_hold(*holding, now),
            Request::SettleHold { user, id, amount } => self.settle_hold((user, id), *amount, now),
            Request::ReleaseHold { user, id } => self.release_hold((user, id), now),
            Request::ExtendHold { user, id, seconds } => {
                self.extend_hold((user, id), *seconds, now)
            }
            Request::Holds { user, feature } => self.holds(user, feature, now),
            Request::RecordUsage(usage) => self.record_usage(*usage, now),
            Request::UseFeature { user, feature, delta, key } => {
                self.use_feature(user, feature, *delta, *key, now)
            }
            Request::VoidUsage(key) => self.void_usage(key, now),
            Request::SetThresholds(feature) => self.set_thresholds(feature),
            Request::Reached(user) => self.reached(user),
            Request::CanUseFeature { user, feature, delta } => {
                self.can_use_feature(user, feature, *delta, now)
            }
            Request::ShowUsage { user, feature } => self.show_usage(user, feature, now),
            Request::User(user) => self.user(user).map(Answer::User),
            Request::Users => Ok(self.users(now)),
            Request::Subscription(id) => self.subscription(*id, now),
            Request::Subscriptions(user) => {
                self.user(user).map(|user| Answer::Subscriptions(self.newest_first(&user, now)))
            }
            Request::AllSubscriptions => Ok(self.all_subscriptions(now)),
            Request::Catalog => Ok(self.catalog()),
            Request::CreateFeature { feature, binary } => self.create_feature(feature, *binary),
            Request::CreateDrawing { feature, balance, cost } => {
                self.create_drawing(feature, balance, *cost)
            }
            Request::SetCost { feature, cost } => self.set_cost(feature, *cost),
            Request::CreatePackage(package) => self.create_package(package),
            Request::PublishPackage(package) => self.publish_package(package),
            Request::ArchivePackage(package) => self.archive_package(package),
            Request::PublishDrafts => Ok(self.publish_drafts()),
            Request::CountEvents => Ok(Answer::Count(self.events)),
        };
        answer.unwrap_or_else(Answer::Refused)
    }

    fn user(&self, id: Name) -> Result<User, Refusal> {
        self.users.iter().find(|user| user.id == id).copied().ok_or(Refusal::NoSuchUser)
    }

    fn users(&self, now: At) -> Answer {
        let mut users: Vec<_> =
            self.users.iter().map(|user| (*user, self.newest_first(user, now))).collect();
        // By creation: of two that were made at the same time, which one was made first is what
        // their keys say.
        users.sort_by_key(|(user, _)| user.key);
        Answer::Users(users)
    }

    fn create_user(
        &mut self,
        id: Name,
        name: Option<Name>,
        email: Option<Name>,
        given: &[Id],
    ) -> Result<Answer, Refusal> {
        if self.user(id).is_ok() {
            return Err(Refusal::IdTaken);
        }
        let key = given.first().copied().unwrap_or(Id(0));
        let user = User { key, id, name, email };
        self.users.push(user);
        Ok(Answer::User(user))
    }

    fn update_user(
        &mut self,
        id: Name,
        new_id: Option<Name>,
        name: Edit,
        email: Edit,
    ) -> Result<Answer, Refusal> {
        let user = self.user(id)?;
        let new_id = new_id.unwrap_or(id);
        if new_id != id && self.user(new_id).is_ok() && !self.errs(Mistake::IdsAreShared) {
            return Err(Refusal::IdTaken);
        }
        let clears = self.errs(Mistake::UpdatesClear);
        let edited = |before: Option<Name>, edit: Edit| match edit {
            Edit::Keep if clears => None,
            Edit::Keep => before,
            Edit::Clear => None,
            Edit::Set(value) => Some(value),
        };
        let changed = User {
            id: new_id,
            name: edited(user.name, name),
            email: edited(user.email, email),
            ..user
        };
        for known in self.users.iter_mut().filter(|known| known.key == user.key) {
            *known = changed;
        }
        Ok(Answer::User(changed))
    }

    fn delete_user(&mut self, id: Name, now: At) -> Result<Answer, Refusal> {
        let user = self.user(id)?;
        let ended: Vec<Subscription> = self.newest_first(&user, now);
        for (_, subscription) in &mut self.subscriptions {
            if let Some(shown) = ended.iter().find(|one| one.id == subscription.id) {
                subscription.ended_at = shown.ended_at.or(Some(now));
            }
        }
        self.overrides.retain(|held| held.owner != user.key);
        self.forget_grants(&user);
        for known in self.users.iter_mut().filter(|known| known.key == user.key) {
            *known = User { key: user.key, id: DELETED, name: None, email: None };
        }
        Ok(Answer::UserDeleted)
    }
}
