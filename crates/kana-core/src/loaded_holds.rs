//! A user's holds, as far as they were loaded.

use std::collections::BTreeMap;

use crate::hold::Hold;
use crate::id::{FeatureId, HoldId};
use crate::timestamp::Timestamp;

/// A user's holds, as far as they were loaded. A user can have any number that are over, so only those are
/// loaded that live on the balances that are asked for, and those that a command names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LoadedHolds {
    /// Whether there are some that have not ended, which may live.
    may_live: bool,
    /// The balances of which all were loaded that live at this instant or later.
    all_since: BTreeMap<FeatureId, Timestamp>,
    known: Vec<Hold>,
    /// Ids of which it is known that no hold has them.
    unknown: Vec<HoldId>,
}

impl LoadedHolds {
    /// Says that the user has holds that have not ended.
    pub(crate) fn note_stored(&mut self) {
        self.may_live = true;
    }

    /// Returns true if some may live.
    pub(crate) fn may_live(&self) -> bool {
        self.may_live || self.known.iter().any(|known| known.ended.is_none())
    }

    /// Returns true if those that live on a balance at an instant were loaded, or there are none.
    pub(crate) fn are_loaded(&self, balance: &FeatureId, now: Timestamp) -> bool {
        !self.may_live || self.all_since.get(balance).is_some_and(|since| *since <= now)
    }

    /// Returns those that live on a balance at an instant, in no order, as far as they were loaded.
    pub(crate) fn living<'a>(
        &'a self,
        balance: &'a FeatureId,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Hold> {
        self.known.iter().filter(move |known| known.balance() == balance && known.lives(now))
    }

    /// Returns the hold with this id: `Some(None)` if there is none, `None` if that was not loaded.
    pub(crate) fn named(&self, id: &HoldId) -> Option<Option<&Hold>> {
        let known = self.known.iter().find(|known| known.id == *id);
        if known.is_none() && !self.unknown.contains(id) { None } else { Some(known) }
    }

    /// Adds all that live on a balance at an instant, as they are stored. Those that are known already may have
    /// changed since, and stay as they are.
    pub(crate) fn load_living(&mut self, balance: FeatureId, since: Timestamp, stored: Vec<Hold>) {
        let earliest = self.all_since.entry(balance).or_insert(since);
        *earliest = since.min(*earliest);
        for hold in stored {
            self.load(hold);
        }
    }

    /// Adds what is stored under an id.
    pub(crate) fn load_named(&mut self, id: HoldId, stored: Option<Hold>) {
        match stored {
            Some(hold) => self.load(hold),
            None => self.unknown.push(id),
        }
    }

    fn load(&mut self, hold: Hold) {
        if self.known.iter().all(|known| known.id != hold.id) {
            self.known.push(hold);
        }
    }

    /// Puts a new one, or a known one as it is now.
    pub(crate) fn put(&mut self, new: &Hold) {
        match self.known.iter_mut().find(|known| known.id == new.id) {
            Some(known) => known.clone_from(new),
            None => self.known.push(new.clone()),
        }
    }
}
