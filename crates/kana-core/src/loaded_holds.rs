//! A user's holds, as far as they were loaded.

use crate::hold::Hold;
use crate::id::HoldId;
use crate::timestamp::Timestamp;

/// A user's holds, as far as they were loaded. A user can have any number that are over, so only those are
/// loaded that live, and those that a command names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LoadedHolds {
    /// Whether there are some that have not ended, which may live.
    may_live: bool,
    /// All that live at this instant or later were loaded; `None` if they were not.
    all_since: Option<Timestamp>,
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

    /// Returns those that live at an instant, in no order; `None` if they were not loaded.
    pub(crate) fn living(&self, now: Timestamp) -> Option<impl Iterator<Item = &Hold>> {
        let is_loaded = !self.may_live || self.all_since.is_some_and(|since| since <= now);
        is_loaded.then(|| self.known.iter().filter(move |known| known.lives(now)))
    }

    /// Returns the hold with this id: `Some(None)` if there is none, `None` if that was not loaded.
    pub(crate) fn named(&self, id: &HoldId) -> Option<Option<&Hold>> {
        let known = self.known.iter().find(|known| known.id == *id);
        if known.is_none() && !self.unknown.contains(id) { None } else { Some(known) }
    }

    /// Adds all that live at an instant, as they are stored. Those that are known already may have changed
    /// since, and stay as they are.
    pub(crate) fn load_living(&mut self, since: Timestamp, stored: Vec<Hold>) {
        self.all_since = Some(self.all_since.map_or(since, |earlier| earlier.min(since)));
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
