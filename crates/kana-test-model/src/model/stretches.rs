use super::Model;
use crate::answer::{Refusal, Stage, Subscription, Timing};
use crate::mistake::Mistake;
use crate::request::{At, Id, Name};

/// What was said of a subscription ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Said {
    /// Whether its start lay ahead when it was made.
    pub(super) ahead: bool,
    /// Whether it was changed to from another, which ends where it begins.
    pub(super) follows: bool,
    /// From when on it grants: its start, if that lay ahead, and else when it was made.
    pub(super) from: At,
    /// The end that was asked for.
    pub(super) end: Option<At>,
    pub(super) trial_ends_at: Option<At>,
    /// What its periods are counted from, if that is not its start.
    pub(super) anchor: Option<At>,
}

/// The end of a stretch, to compare.
fn or_never(end: Option<At>) -> At {
    end.unwrap_or(At(i64::MAX))
}

impl Model {
    /// The subscription as it is shown.
    pub(super) fn shown(&self, owner: Id, one: Subscription, now: At) -> Subscription {
        let said = self.said[&one.id];
        let end = self.end(owner, &one);
        let is_over = one.ended_at.is_some() || end.is_some_and(|end| end <= now);
        let stage = if is_over {
            Stage::Active
        } else if said.ahead && said.from > now {
            Stage::Incomplete
        } else if said.trial_ends_at.is_some_and(|at| now < at) {
            Stage::Trialing
        } else {
            Stage::Active
        };
        let cancel_at = end.filter(|_| !is_over);
        let timing = Timing { stage, cancel_at, trial_ends_at: said.trial_ends_at };
        Subscription { ended_at: end.filter(|_| is_over), timing, ..one }
    }

    /// The subscription with its end, also where that lies ahead.
    pub(super) fn whole(&self, owner: Id, one: Subscription) -> Subscription {
        Subscription { ended_at: self.end(owner, &one), ..one }
    }

    /// Its end: when it was cancelled, or else the one that was asked for or, if that is earlier, the one that
    /// an add-on has by its base.
    pub(super) fn end(&self, owner: Id, one: &Subscription) -> Option<At> {
        if one.ended_at.is_some() {
            return one.ended_at;
        }
        let asked = self.said[&one.id].end;
        if !self.is_addon(one.package) || self.errs(Mistake::AddonsStay) {
            return asked;
        }
        [asked, self.end_of_bases(owner, one)].into_iter().flatten().min()
    }

    fn bases(&self, owner: Id) -> impl Iterator<Item = &Subscription> {
        let all = self.subscriptions.iter().filter(move |(of, _)| *of == owner);
        all.map(|(_, one)| one).filter(|one| !self.is_addon(one.package))
    }

    pub(super) fn fits(&self, addon: Name, base: Name) -> bool {
        let allowed = &self.package(addon).unwrap().0.bases;
        allowed.is_empty() || allowed.contains(&base)
    }

    /// The user's base at an instant.
    pub(super) fn base_at(&self, owner: Id, at: At) -> Option<&Subscription> {
        let is_there = |base: &&Subscription| {
            self.said[&base.id].from <= at && at < or_never(self.end(owner, base))
        };
        self.bases(owner).find(is_there)
    }

    /// Where the bases end that an add-on goes with: the one at its beginning, and those that follow at once
    /// and that it may be added to.
    fn end_of_bases(&self, owner: Id, addon: &Subscription) -> Option<At> {
        let mut end = self.end(owner, self.base_at(owner, self.said[&addon.id].from)?);
        loop {
            let next = self.bases(owner).find(|base| {
                let said = self.said[&base.id];
                let follows = (said.ahead || said.follows) && Some(said.from) == end;
                let is_some = said.from < or_never(self.end(owner, base));
                follows && is_some && self.fits(addon.package, base.package)
            });
            match next {
                Some(next) => end = self.end(owner, next),
                None => return end,
            }
        }
    }

    /// Whether both are there at an instant that lies ahead.
    pub(super) fn overlap(
        &self,
        owner: Id,
        one: &Subscription,
        other: &Subscription,
        now: At,
    ) -> bool {
        let from = self.said[&one.id].from.max(self.said[&other.id].from).max(now);
        [one, other].iter().all(|one| from < or_never(self.end(owner, one)))
    }

    /// Cancels add-ons that have not begun and would have no base.
    pub(super) fn cancel_orphans(&mut self, owner: Id, now: At) {
        let is_orphan = |model: &Self, one: &Subscription| {
            let said = model.said[&one.id];
            let is_ahead = one.ended_at.is_none() && said.ahead && said.from > now;
            let base = model.base_at(owner, said.from);
            let has_base = base.is_some_and(|base| model.fits(one.package, base.package));
            is_ahead && model.is_addon(one.package) && !has_base
        };
        let all = self.subscriptions.iter().filter(|(of, _)| *of == owner);
        let orphans: Vec<Id> =
            all.filter(|(_, one)| is_orphan(self, one)).map(|(_, one)| one.id).collect();
        for (_, one) in self.subscriptions.iter_mut().filter(|(_, one)| orphans.contains(&one.id)) {
            one.ended_at = Some(now);
        }
    }

    /// Refuses that subscriptions overlap which did not in the model before.
    pub(super) fn check_overlaps(&self, before: &Self, owner: Id, now: At) -> Result<(), Refusal> {
        let all: Vec<&Subscription> = before
            .subscriptions
            .iter()
            .filter(|(of, _)| *of == owner)
            .map(|(_, one)| one)
            .collect();
        let after = |id: Id| self.subscriptions.iter().find(|(_, one)| one.id == id).unwrap().1;
        let mut new = Vec::new();
        for (place, other) in all.iter().enumerate() {
            for one in &all[..place] {
                let overlap = self.overlap(owner, &after(one.id), &after(other.id), now);
                if overlap && !before.overlap(owner, one, other, now) {
                    new.push((one.package, other.package));
                }
            }
        }
        if new.iter().any(|(one, other)| !self.is_addon(one) && !self.is_addon(other)) {
            return Err(Refusal::MultipleTiers);
        }
        match new.iter().find(|(one, other)| one == other) {
            Some((package, _)) => Err(Refusal::HasItAlready(package)),
            None => Ok(()),
        }
    }
}
