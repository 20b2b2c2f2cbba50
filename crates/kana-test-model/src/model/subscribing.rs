use std::cmp::Reverse;

use super::Model;
use super::stretches::Said;
use crate::answer::{Answer, Refusal, Stage, Status, Subscription, Timing, User};
use crate::mistake::Mistake;
use crate::request::{Ahead, At, Id, Name};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a quantity may be.
pub(super) const QUANTITIES: std::ops::RangeInclusive<i64> = 1..=1_000_000;

/// Newest first by their start, then by creation. Ids stand for creation: of two that were made
/// at the same time, which one was made first is what their ids say.
fn by_start_and_creation(subscription: &Subscription) -> impl Ord + use<> {
    Reverse((subscription.started_at, subscription.id))
}

/// Checks what is said ahead of time, and returns the start with it.
fn read_ahead(started_at: Option<At>, ahead: Ahead, now: At) -> Result<(At, Said), Refusal> {
    if ahead.starts_at.is_some_and(|at| at <= now || started_at.is_some()) {
        return Err(Refusal::BadValue("startsAt"));
    }
    if ahead.trial_days.is_some_and(|days| !(1..=730).contains(&days)) {
        return Err(Refusal::BadValue("trialDays"));
    }
    let start = ahead.starts_at.or(started_at).unwrap_or(now);
    let trial_ends_at = ahead.trial_days.map(|days| At(start.0 + days * DAY_MS));
    let end = trial_ends_at.filter(|_| ahead.ends_with_trial);
    if ahead.ends_with_trial && end.is_none_or(|end| end <= now) {
        return Err(Refusal::BadValue("cancelAtTrialEnd"));
    }
    let from = ahead.starts_at.unwrap_or(now);
    Ok((
        start,
        Said {
            ahead: ahead.starts_at.is_some(),
            follows: false,
            from,
            end,
            trial_ends_at,
            anchor: None,
        },
    ))
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

    /// The user's subscriptions as they are shown, newest first.
    pub(super) fn newest_first(&self, user: &User, now: At) -> Vec<Subscription> {
        let mut subscriptions: Vec<_> =
            self.of_user(user).map(|one| self.shown(user.key, *one, now)).collect();
        subscriptions.sort_by_key(by_start_and_creation);
        subscriptions
    }

    pub(super) fn all_subscriptions(&self, now: At) -> Answer {
        let mut all: Vec<_> = self
            .subscriptions
            .iter()
            .map(|(owner, one)| (self.id_of(*owner), self.shown(*owner, *one, now)))
            .collect();
        all.sort_by_key(|(_, subscription)| by_start_and_creation(subscription));
        Answer::AllSubscriptions(all)
    }

    pub(super) fn subscription(&self, id: Id, now: At) -> Result<Answer, Refusal> {
        let (owner, subscription) = self.find(id)?;
        Ok(Answer::Subscription(self.id_of(owner), self.shown(owner, subscription, now)))
    }

    pub(super) fn find(&self, id: Id) -> Result<(Id, Subscription), Refusal> {
        let found = self.subscriptions.iter().find(|(_, subscription)| subscription.id == id);
        found.copied().ok_or(Refusal::NoSuchSubscription)
    }

    pub(super) fn id_of(&self, key: Id) -> Name {
        self.users.iter().find(|user| user.key == key).unwrap().id
    }

    pub(super) fn is_addon(&self, package: Name) -> bool {
        self.package(package).unwrap().0.addon
    }

    pub(super) fn subscribe(
        &mut self,
        user: Name,
        (packages, quantities): (&[Name], Option<&[i64]>),
        (started_at, ahead): (Option<At>, Ahead),
        now: At,
        given: &[Id],
    ) -> Result<Answer, Refusal> {
        if packages.is_empty() {
            return Err(Refusal::BadValue("packageIds"));
        }
        if started_at.is_some_and(|started_at| started_at > now) {
            return Err(Refusal::BadValue("startedAt"));
        }
        let (start, said) = read_ahead(started_at, ahead, now)?;
        let is_ahead = said.ahead;
        let one_of_each = vec![1; packages.len()];
        let quantities = quantities.unwrap_or(&one_of_each);
        let fits = quantities.len() == packages.len();
        if !fits || quantities.iter().any(|quantity| !QUANTITIES.contains(quantity)) {
            return Err(Refusal::BadValue("quantities"));
        }
        let user = self.user(user)?;
        self.check_packages(&user, packages, said)?;
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
                started_at: start,
                ended_at: None,
                quantity: *quantity,
                timing: Timing::default(),
            })
            .collect();
        // Kana chooses the ids. Where it refused, nobody knows which, and any will do.
        let mut after = self.clone();
        for (place, package) in packages.iter().enumerate() {
            let id = Id(u128::MAX - place as u128);
            let one = Subscription {
                id,
                package,
                started_at: start,
                ended_at: None,
                quantity: 1,
                timing: Timing::default(),
            };
            after.said.insert(id, said);
            after.subscriptions.push((user.key, one));
        }
        after.check_made(&user, packages.len(), now)?;
        after.check_overlaps(self, user.key, now)?;
        if is_ahead && after.waiting(&user, now) > 10 {
            return Err(Refusal::BadValue("startsAt"));
        }
        self.said.extend(made.iter().map(|one| (one.id, said)));
        let began = |one: &Subscription| (one.id, At(i64::MIN), one.quantity);
        self.quantities.extend(made.iter().map(began));
        self.subscriptions.extend(made.iter().map(|subscription| (user.key, *subscription)));
        let shown = made.iter().map(|one| self.shown(user.key, *one, now));
        Ok(Answer::Subscriptions(shown.collect()))
    }

    /// How many of the user's subscriptions have not begun.
    pub(super) fn waiting(&self, user: &User, now: At) -> usize {
        let is_waiting = |one: &&Subscription| {
            let said = self.said[&one.id];
            one.ended_at.is_none() && said.ahead && said.from > now
        };
        self.of_user(user).filter(is_waiting).count()
    }

    /// Whether the newest so many subscriptions are the only ones to their packages.
    pub(super) fn check_made(&self, user: &User, new: usize, now: At) -> Result<(), Refusal> {
        let all: Vec<&Subscription> = self.of_user(user).collect();
        for place in all.len() - new..all.len() {
            let one = all[place];
            let is_same = |other: &&&Subscription| {
                other.package == one.package && self.overlap(user.key, one, other, now)
            };
            if all[..place].iter().any(|other| is_same(&other)) {
                return Err(Refusal::HasItAlready(one.package));
            }
        }
        Ok(())
    }

    /// The contract's table, row by row.
    pub(super) fn check_packages(
        &self,
        user: &User,
        packages: &[Name],
        said: Said,
    ) -> Result<(), Refusal> {
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
        let meets = |one: &&Subscription| {
            let from = self.said[&one.id].from.max(said.from);
            let ends_after = |end: Option<At>| end.is_none_or(|end| from < end);
            ends_after(self.end(user.key, one)) && ends_after(said.end)
        };
        let met = self.of_user(user).filter(meets).filter(|one| !self.is_addon(one.package));
        let is_base = |package: &&Name| !self.is_addon(package);
        let asked: Vec<Name> = packages.iter().filter(is_base).copied().collect();
        let two = !asked.is_empty() && met.count() + asked.len() > 1;
        if two && !self.errs(Mistake::TwoBases) {
            return Err(Refusal::MultipleTiers);
        }
        let there = self.base_at(user.key, said.from).map(|base| base.package);
        let addons = || packages.iter().filter(|package| self.is_addon(package));
        let Some(base) = there.or(asked.first().copied()) else {
            return Err(Refusal::MissingLiveTier);
        };
        for addon in addons() {
            let allowed = &self.package(addon).unwrap().0.bases;
            if !allowed.is_empty() && !allowed.contains(&base) {
                return Err(Refusal::AddonOfOtherBase { addon, base });
            }
        }
        Ok(())
    }

    /// Sets the end of a subscription, or takes it back.
    pub(super) fn set_end(&mut self, id: Id, at: Option<At>, now: At) -> Result<Answer, Refusal> {
        if at.is_some_and(|at| at <= now) {
            return Err(Refusal::BadValue("cancelAt"));
        }
        let (owner, before) = self.find(id)?;
        if self.shown(owner, before, now).ended_at.is_some() {
            return Err(Refusal::HasEnded);
        }
        if at.is_some_and(|at| at <= before.started_at) {
            return Err(Refusal::BadValue("cancelAt"));
        }
        let mut after = self.clone();
        after.said.get_mut(&id).unwrap().end = at;
        after.check_overlaps(self, owner, now)?;
        after.cancel_orphans(owner, now);
        *self = after;
        self.subscription(id, now)
    }

    pub(super) fn update(&mut self, id: Id, quantity: i64, now: At) -> Result<Answer, Refusal> {
        if !QUANTITIES.contains(&quantity) {
            return Err(Refusal::BadValue("quantity"));
        }
        let (owner, before) = self.find(id)?;
        let has_ended = self.shown(owner, before, now).ended_at.is_some();
        if has_ended && !self.errs(Mistake::EndedIsUpdated) {
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
        self.subscription(id, now)
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
        let shown = self.shown(owner, before, now);
        if shown.ended_at.is_none() || self.errs(Mistake::CancelledAgainEndsLater) {
            let has_begun = |one: &Subscription| one.timing.stage != Stage::Incomplete;
            let is_base = !self.is_addon(before.package) && has_begun(&shown);
            let takes_addons = is_base && !self.errs(Mistake::AddonsStay);
            let ending: Vec<bool> = self
                .subscriptions
                .iter()
                .map(|(user, other)| {
                    let shown = self.shown(*user, *other, now);
                    let goes_with_it = takes_addons
                        && *user == owner
                        && self.is_addon(other.package)
                        && shown.ended_at.is_none()
                        && has_begun(&shown);
                    other.id == id || goes_with_it
                })
                .collect();
            for ((_, subscription), ends) in self.subscriptions.iter_mut().zip(ending) {
                if ends {
                    subscription.ended_at = Some(now);
                }
            }
            self.cancel_orphans(owner, now);
        }
        self.subscription(id, now)
    }
}
