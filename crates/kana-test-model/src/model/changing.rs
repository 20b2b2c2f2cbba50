use super::Model;
use super::stretches::Said;
use super::subscribing::QUANTITIES;
use crate::answer::{Answer, Refusal, Stage, Subscription, Timing};
use crate::mistake::Mistake;
use crate::request::{At, Id, Name};

impl Model {
    /// Ends a subscription and begins one to another package at the same instant.
    pub(super) fn change_package(
        &mut self,
        (id, package): (Id, Name),
        (at, carries, quantity): (Option<At>, bool, Option<i64>),
        now: At,
        given: &[Id],
    ) -> Result<Answer, Refusal> {
        if quantity.is_some_and(|quantity| !QUANTITIES.contains(&quantity)) {
            return Err(Refusal::BadValue("quantity"));
        }
        if carries && at.is_some() {
            return Err(Refusal::BadValue("carryUsage"));
        }
        if at.is_some_and(|at| at <= now) {
            return Err(Refusal::BadValue("at"));
        }
        let (owner, before) = self.find(id)?;
        if self.package(package).is_none() {
            return Err(Refusal::PackageIdNotFoundForApp);
        }
        self.check_changed(self.shown(owner, before, now), package, at)?;
        // Kana chooses the id. Where it refused, nobody knows which, and any will do.
        let new = given.first().copied().unwrap_or(Id(u128::MAX));
        if self.find(new).is_ok() {
            return Ok(Answer::Failed("an id was given before".into()));
        }
        let user = self.user(self.id_of(owner))?;
        let said = Said {
            ahead: at.is_some(),
            follows: true,
            from: at.unwrap_or(now),
            end: None,
            trial_ends_at: None,
            anchor: carries.then(|| self.origin(&before).1),
        };
        let mut after = self.clone();
        after.end_old(id, package, at, now);
        after.check_packages(&user, &[package], said)?;
        let quantity = quantity.unwrap_or(before.quantity);
        let made = Subscription {
            id: new,
            package,
            started_at: said.from,
            ended_at: None,
            quantity,
            timing: Timing::default(),
        };
        after.said.insert(new, said);
        after.quantities.push((new, At(i64::MIN), quantity));
        after.subscriptions.push((owner, made));
        after.cancel_orphans(owner, now);
        after.check_made(&user, 1, now)?;
        after.check_overlaps(self, owner, now)?;
        if at.is_some() && after.waiting(&user, now) > 10 {
            return Err(Refusal::BadValue("at"));
        }
        if carries && !self.errs(Mistake::UsageStaysBehind) {
            after.carry((&user, self), (before, made), now);
        }
        *self = after;
        self.subscription(new, now)
    }

    fn check_changed(
        &self,
        shown: Subscription,
        package: Name,
        at: Option<At>,
    ) -> Result<(), Refusal> {
        let ends_before = |at: At| shown.timing.cancel_at.is_some_and(|end| end < at);
        if shown.ended_at.is_some() {
            Err(Refusal::HasEnded)
        } else if shown.timing.stage == Stage::Incomplete {
            Err(Refusal::HasNotStarted)
        } else if at.is_some_and(ends_before) {
            Err(Refusal::EndsBeforeChange)
        } else if self.is_addon(shown.package) != self.is_addon(package) {
            Err(Refusal::OtherKind)
        } else if shown.package == package {
            Err(Refusal::HasItAlready(package))
        } else {
            Ok(())
        }
    }

    /// Ends the old one. If that is now, and it is one to a base, so do the add-ons that may not be added to
    /// the next one.
    fn end_old(&mut self, id: Id, next: Name, at: Option<At>, now: At) {
        if at.is_some() {
            self.said.get_mut(&id).unwrap().end = at;
            return;
        }
        let owner = self.find(id).unwrap().0;
        let ends = |one: &Subscription| {
            let shown = self.shown(owner, *one, now);
            let runs = shown.ended_at.is_none() && shown.timing.stage != Stage::Incomplete;
            let is_lost = self.is_addon(one.package) && !self.is_addon(next);
            one.id == id || runs && is_lost && !self.fits(one.package, next)
        };
        let all = self.subscriptions.iter().filter(|(of, _)| *of == owner);
        let ending: Vec<Id> = all.filter(|(_, one)| ends(one)).map(|(_, one)| one.id).collect();
        for (_, one) in self.subscriptions.iter_mut().filter(|(_, one)| ending.contains(&one.id)) {
            one.ended_at = Some(now);
        }
    }
}
