//! A part of the cache, under a lock of its own.

use foldhash::HashSet;
use kana_core::catalog::CatalogVersion;
use kana_core::id::{UserId, UserKey};

use super::changes::UserChanges;
use super::entry::Entry;
use super::known::{KnownChange, KnownUser};
use super::lru::{Lru, Place};
use super::names::EntryNames;
use crate::app::EnvironmentId;

/// A user by environment and id, with the hash of both.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) hash: u64,
    pub(super) user: (EnvironmentId, &'a UserId),
}

/// Everything that is known of a user, of one instant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) as_of: AsOf,
    pub(crate) user: KnownUser,
}

/// The instants between two changes of a user or the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) catalog_version: CatalogVersion,
    /// Changes with each change of the user's facts.
    stamp: u64,
}

/// The result of a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LookedUp {
    Found(Found),
    /// It is not in memory.
    Unknown,
    /// A commit under way changes it. Some readers may see the change already, so only a snapshot that
    /// begins now will do.
    Changing,
}

/// The users of a part of the hashes.
#[derive(Default)]
pub(super) struct Shard {
    users: Lru,
    names: EntryNames,
    /// The current version of each catalog, as far as it is known.
    catalogs: Vec<(EnvironmentId, CatalogVersion)>,
    /// The hashes of the users whom the commit under way changes.
    changing: HashSet<u64>,
    /// The environments whose catalog the commit under way changes.
    changing_catalogs: Vec<EnvironmentId>,
    last_stamp: u64,
    /// Whether somebody was dropped for want of room, until half of the room is free.
    is_full: bool,
    /// A random number, if not a good one.
    dice: u64,
}

/// One of so many users whom a question has read is added to a shard that is full. Who is asked about often is
/// soon among them. If all users are asked about equally often, and are more than fit, adding each of them
/// would cost more than the few who are found again save.
const ADDED_ONE_OF: u64 = 8;

impl Shard {
    pub(super) fn look_up(&mut self, whose: Whose<'_>) -> LookedUp {
        if self.is_changing(whose) {
            return LookedUp::Changing;
        }
        self.found(whose).map_or(LookedUp::Unknown, LookedUp::Found)
    }

    fn found(&mut self, whose: Whose<'_>) -> Option<Found> {
        let catalog_version = self.catalog_version(whose.user.0)?;
        let place = self.find(whose)?;
        let (entry, stamp) = self.users.get(place)?;
        let user = entry.read(&self.names)?;
        self.users.touch(place);
        Some(Found { as_of: AsOf { catalog_version, stamp }, user })
    }

    /// Returns true if what was found then is current.
    pub(super) fn is_still(&self, whose: Whose<'_>, as_of: AsOf) -> bool {
        let entry = self.find(whose).and_then(|place| self.users.get(place));
        !self.is_changing(whose)
            && self.catalog_version(whose.user.0) == Some(as_of.catalog_version)
            && entry.is_some_and(|(_, stamp)| stamp == as_of.stamp)
    }

    /// Adds a user, if what was read of it `is_current`.
    pub(super) fn learn(
        &mut self,
        whose: Whose<'_>,
        (catalog_version, user): (CatalogVersion, &KnownUser),
        is_current: impl Fn() -> bool,
    ) {
        if self.is_changing(whose) || !is_current() {
            return;
        }
        self.set_catalog(whose.user.0, Some(catalog_version));
        if self.has_place()
            && self.find(whose).is_none()
            && let Some(entry) = Entry::new(whose.user, user, &mut self.names)
        {
            self.last_stamp += 1;
            self.users.insert(whose.hash, entry, self.last_stamp);
        }
    }

    #[cfg(test)]
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns true if a user may be added that a question has read.
    fn has_place(&mut self) -> bool {
        if !self.is_full {
            return true;
        }
        // The upper bits of a linear congruential generator (Knuth's MMIX).
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 32).is_multiple_of(ADDED_ONE_OF)
    }

    /// Adds to what is known of a user with this key, if what was read of it `is_current`.
    pub(super) fn learn_more(
        &mut self,
        whose: Whose<'_>,
        (key, learn): (UserKey, impl FnOnce(&mut KnownUser)),
        is_current: impl Fn() -> bool,
    ) {
        if self.is_changing(whose) || !is_current() {
            return;
        }
        let Some(place) = self.find(whose) else { return };
        let Some((entry, stamp)) = self.users.get(place) else { return };
        if let Some(mut user) = entry.read(&self.names).filter(|user| user.key == key) {
            learn(&mut user);
            self.rewrite(place, whose, &user, stamp);
        }
    }

    /// Notes that a commit changes a user.
    pub(super) fn begin(&mut self, hash: u64) {
        self.changing.insert(hash);
    }

    /// Makes the changes of a commit that was made.
    pub(super) fn apply(&mut self, whose: Whose<'_>, changes: &UserChanges) {
        match (changes, self.find(whose)) {
            (UserChanges::Known(changes, _), Some(place)) => self.change(place, whose, changes),
            (UserChanges::Known(changes, Some(before)), None) => self.add(whose, before, changes),
            (UserChanges::Other, Some(place)) => self.users.remove(place),
            (_, None) => {}
        }
    }

    fn change(&mut self, place: Place, whose: Whose<'_>, changes: &[KnownChange]) {
        self.last_stamp += 1;
        let stamp = self.last_stamp;
        if let Some((entry, its_stamp)) = self.users.get_mut(place) {
            // What was made where it stands can be made once more.
            let mut is_made = |change: &KnownChange| match change {
                KnownChange::Set(counter, value) => entry.set(counter, value.as_ref(), &self.names),
                KnownChange::SetDrawn(grant, drawn) => entry.set_drawn(*grant, *drawn),
                _ => false,
            };
            if changes.iter().all(&mut is_made) {
                *its_stamp = stamp;
                return;
            }
        }
        let read = self.users.get(place).and_then(|(entry, _)| entry.read(&self.names));
        let Some(mut user) = read else {
            return self.users.remove(place);
        };
        changes.iter().for_each(|change| user.apply(change));
        self.rewrite(place, whose, &user, stamp);
    }

    /// Adds a user whom a commit has changed, as the user is since.
    fn add(&mut self, whose: Whose<'_>, before: &KnownUser, changes: &[KnownChange]) {
        let mut user = before.clone();
        changes.iter().for_each(|change| user.apply(change));
        if let Some(entry) = Entry::new(whose.user, &user, &mut self.names) {
            self.last_stamp += 1;
            self.users.insert(whose.hash, entry, self.last_stamp);
        }
    }

    /// Forgets a user.
    pub(super) fn forget(&mut self, whose: Whose<'_>) {
        if let Some(place) = self.find(whose) {
            self.users.remove(place);
        }
    }

    pub(super) fn begin_catalog(&mut self, environment: EnvironmentId) {
        self.changing_catalogs.push(environment);
    }

    /// Sets the version of a catalog, or forgets it.
    pub(super) fn set_catalog(
        &mut self,
        environment: EnvironmentId,
        version: Option<CatalogVersion>,
    ) {
        self.catalogs.retain(|(of, _)| *of != environment);
        self.catalogs.extend(version.map(|version| (environment, version)));
    }

    /// Ends the changes of the commit under way.
    pub(super) fn end(&mut self) {
        self.changing.clear();
        self.changing_catalogs.clear();
    }

    /// Drops what was used least recently until this holds.
    pub(super) fn keep_within(&mut self, bytes: usize, users: usize) {
        while self.users.len() > users || self.bytes() > bytes {
            let Some(oldest) = self.users.oldest() else { break };
            self.users.remove(oldest);
            self.is_full = true;
        }
        if self.users.len() < users.div_ceil(2) && self.bytes() < bytes / 2 {
            self.is_full = false;
        }
        if self.users.len() == 0 {
            // No entry refers to them any more.
            self.names = EntryNames::default();
        }
    }

    pub(super) fn catalog_version(&self, environment: EnvironmentId) -> Option<CatalogVersion> {
        self.catalogs.iter().find(|(of, _)| *of == environment).map(|(_, version)| *version)
    }

    /// Returns how much memory this takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.users.bytes() + self.names.bytes()
    }

    fn is_changing(&self, Whose { hash, user: (environment, _) }: Whose<'_>) -> bool {
        // Most of the time nothing changes.
        (!self.changing.is_empty() && self.changing.contains(&hash))
            || self.changing_catalogs.contains(&environment)
    }

    fn find(&self, Whose { hash, user }: Whose<'_>) -> Option<Place> {
        self.users.find(hash, |entry| entry.is_of(user))
    }

    /// Writes a user's entry anew.
    fn rewrite(&mut self, place: Place, whose: Whose<'_>, user: &KnownUser, stamp: u64) {
        match Entry::new(whose.user, user, &mut self.names) {
            Some(entry) => self.users.replace(place, entry, stamp),
            None => self.users.remove(place),
        }
    }
}
