use std::cmp::Reverse;

use super::Model;
use crate::answer::{Answer, Refusal, Status, Subscription, User};
use crate::mistake::Mistake;
use crate::request::{At, Id, Name};

/// What a quantity may be.
const QUANTITIES: std::ops::RangeInclusive<i64> = 1..=1_000_000;

/// Newest first by their start, then by creation. Ids stand for creation: of two that were made
/// at the same time, which one was made first is what their ids say.
fn by_start_and_creation(subscription: &Subscription) -> impl Ord + use<> {
    Reverse((subscription.started_at, subscription.id))
}

impl Model {
    /// The user's subscriptions.
    pub(super) fn of_user(&self, user: &User) -> impl Iterator<Item = &Subscription> {
        let key = user.key;
        self.subscriptions
            .iter()
            .filter(move |(owner, _)| *owner == key)
            .map(|(_, subscription)| subscription)
    }

    /// The user's subscriptions, newest first.
    pub(super) fn newest_first(&self, user: &User) -> Vec<Subscription> {
        let mut subscriptions: Vec<_> = self.of_user(user).copied().collect();
        subscriptions.sort_by_key(by_start_and_creation);
        subscriptions
    }

    pub(super) fn all_subscriptions(&self) -> Answer {
        let mut all: Vec<_> = self
            .subscriptions
            .iter()
            .map(|(owner, subscription)| (self.id_of(*owner), *subscription))
            .collect();
        all.sort_by_key(|(_, subscription)| by_start_and_creation(subscription));
        Answer::AllSubscriptions(all)
    }

    pub(super) fn subscription(&self, id: Id) -> Result<Answer, Refusal> {
        let (owner, subscription) = self.find(id)?;
        Ok(Answer::Subscription(self.id_of(owner), subscription))
    }

    fn find(&self, id: Id) -> Result<(Id, Subscription), Refusal> {
        let found = self.subscriptions.iter().find(|(_, subscription)| subscription.id == id);
        found.copied().ok_or(Refusal::NoSuchSubscription)
    }

    fn id_of(&self, key: Id) -> Name {
        self.users.iter().find(|user| user.key == key).unwrap().id
    }

    fn is_addon(&self, package: Name) -> bool {
        self.package(package).unwrap().0.addon
    }

    pub(super) fn subscribe(
        &mut self,
        user: Name,
        (packages, quantities): (&[Name], Option<&[i64]>),
        started_at: Option<At>,
        now: At,
        given: &[Id],
    ) -> Result<Answer, Refusal> {
        if packages.is_empty() {
            return Err(Refusal::BadValue("packageIds"));
        }
        if started_at.is_some_and(|started_at| started_at > now) {
            return Err(Refusal::BadValue("startedAt"));
        }
        let one_of_each = vec![1; packages.len()];
        let quantities = quantities.unwrap_or(&one_of_each);
        let fits = quantities.len() == packages.len();
        if !fits || quantities.iter().any(|quantity| !QUANTITIES.contains(quantity)) {
            return Err(Refusal::BadValue("quantities"));
        }
        let user = self.user(user)?;
        self.check_packages(&user, packages)?;
        if given.iter().any(|id| self.find(*id).is_ok()) {
            return Ok(Answer::Failed("an id was given before".into()));
        }
        let made: Vec<Subscription> = packages
            .iter()
            .zip(quantities)
            .zip(given)
            .map(|((package, quantity), id)| Subscription {
                id: *id,
                package,
                started_at: started_at.unwrap_or(now),
                ended_at: None,
                quantity: *quantity,
            })
            .collect();
        let began = |one: &Subscription| (one.id, At(i64::MIN), one.quantity);
        self.quantities.extend(made.iter().map(began));
        self.subscriptions.extend(made.iter().map(|subscription| (user.key, *subscription)));
        Ok(Answer::Subscriptions(made))
    }

    /// The contract's table, row by row.
    fn check_packages(&self, user: &User, packages: &[Name]) -> Result<(), Refusal> {
        if packages.iter().any(|package| self.package(package).is_none()) {
            return Err(Refusal::PackageIdNotFoundForApp);
        }
        for package in packages {
            let status = self.package(package).unwrap().1;
            let sold_anyway = status == Status::Archived && self.errs(Mistake::ArchivedIsSold);
            if status != Status::Published && !sold_anyway {
                return Err(Refusal::NotPublished(package, status));
            }
        }
        let has: Vec<Name> = self
            .of_user(user)
            .filter(|subscription| subscription.ended_at.is_none())
            .map(|subscription| subscription.package)
            .collect();
        let all = || has.iter().chain(packages);
        let bases: Vec<Name> = all().filter(|package| !self.is_addon(package)).copied().collect();
        if bases.len() > 1 && !self.errs(Mistake::TwoBases) {
            return Err(Refusal::MultipleTiers);
        }
        let addons = || packages.iter().filter(|package| self.is_addon(package));
        let Some(base) = bases.first() else {
            return Err(Refusal::MissingLiveTier);
        };
        for addon in addons() {
            let allowed = &self.package(addon).unwrap().0.bases;
            if !allowed.is_empty() && !allowed.contains(base) {
                return Err(Refusal::AddonOfOtherBase { addon, base });
            }
        }
        for (index, package) in packages.iter().enumerate() {
            if has.contains(package) || packages[..index].contains(package) {
                return Err(Refusal::HasItAlready(package));
            }
        }
        Ok(())
    }

    pub(super) fn update(&mut self, id: Id, quantity: i64, now: At) -> Result<Answer, Refusal> {
        if !QUANTITIES.contains(&quantity) {
            return Err(Refusal::BadValue("quantity"));
        }
        let (_, before) = self.find(id)?;
        if before.ended_at.is_some() && !self.errs(Mistake::EndedIsUpdated) {
            return Err(Refusal::HasEnded);
        }
        if quantity != before.quantity {
            for (_, known) in self.subscriptions.iter_mut().filter(|(_, known)| known.id == id) {
                known.quantity = quantity;
            }
            // Of one instant, the last one holds.
            self.quantities.retain(|(of, since, _)| (*of, *since) != (id, now));
            self.quantities.push((id, now, quantity));
            self.forget_quantities(id);
        }
        self.subscription(id)
    }

    /// Keeps the newest 24 changes, and what there was before them.
    fn forget_quantities(&mut self, id: Id) {
        let places: Vec<usize> =
            (0..self.quantities.len()).filter(|place| self.quantities[*place].0 == id).collect();
        if places.len() > 25 {
            self.quantities[places[1]].1 = At(i64::MIN);
            self.quantities.remove(places[0]);
        }
    }

    /// The quantity that a subscription had then.
    pub(super) fn quantity_at(&self, id: Id, at: At) -> i64 {
        let of_it = self.quantities.iter().filter(|(of, since, _)| *of == id && *since <= at);
        of_it.map(|(.., quantity)| *quantity).next_back().unwrap()
    }

    /// Whether a subscription never had a quantity but one.
    pub fn was_always_one(&self, id: Id) -> bool {
        let mut of_it = self.quantities.iter().filter(|(of, ..)| *of == id);
        of_it.next().is_some_and(|(.., first)| *first == 1) && of_it.next().is_none()
    }

    pub(super) fn cancel(&mut self, id: Id, now: At) -> Result<Answer, Refusal> {
        let (owner, before) = self.find(id)?;
        if before.ended_at.is_none() || self.errs(Mistake::CancelledAgainEndsLater) {
            let takes_addons = !self.is_addon(before.package) && !self.errs(Mistake::AddonsStay);
            let ending: Vec<bool> = self
                .subscriptions
                .iter()
                .map(|(user, other)| {
                    let goes_with_it = takes_addons
                        && *user == owner
                        && self.is_addon(other.package)
                        && other.ended_at.is_none();
                    other.id == id || goes_with_it
                })
                .collect();
            for ((_, subscription), ends) in self.subscriptions.iter_mut().zip(ending) {
                if ends {
                    subscription.ended_at = Some(now);
                }
            }
        }
        self.subscription(id)
    }
}
