//! Entries in the order of their use.

use hashbrown::HashTable;

use super::entry::Entry;

/// What an entry takes in memory beside its own bytes: a slot, its place in the table, and what the
/// allocator and spare room take.
const OVERHEAD_BYTES: usize = 80;
/// No slot.
const NONE: u32 = u32::MAX;

/// A list of entries, found by a hash.
pub(super) struct Lru {
    table: HashTable<u32>,
    slots: Vec<Slot>,
    /// The first slot without an entry. The others follow by `older`.
    free: u32,
    newest: u32,
    oldest: u32,
    bytes: usize,
}

struct Slot {
    /// `None` for a slot that is free.
    entry: Option<Entry>,
    hash: u64,
    /// Changes with each change of the user's facts.
    stamp: u64,
    newer: u32,
    older: u32,
}

/// A place in the list, good until an entry is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Default for Lru {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            slots: Vec::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            bytes: 0,
        }
    }
}

impl Lru {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns how much memory all this takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<Place> {
        let is_it = |at: &u32| {
            let slot = self.slots.get(*at as usize);
            slot.is_some_and(|slot| slot.hash == hash && slot.entry.as_ref().is_some_and(&is_it))
        };
        self.table.find(hash, is_it).copied().map(Place)
    }

    /// Returns the entry with its stamp.
    pub(super) fn get(&self, place: Place) -> Option<(&Entry, u64)> {
        let slot = self.slots.get(place.0 as usize)?;
        Some((slot.entry.as_ref()?, slot.stamp))
    }

    /// Returns the entry, to change it without changing its length, and its stamp.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<(&mut Entry, &mut u64)> {
        let slot = self.slots.get_mut(place.0 as usize)?;
        Some((slot.entry.as_mut()?, &mut slot.stamp))
    }

    /// Makes the entry the one that was used last.
    pub(super) fn touch(&mut self, Place(at): Place) {
        if self.newest != at {
            self.unlink(at);
            self.link(at);
        }
    }

    /// Adds an entry, of which there is none with this hash for the same user.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry, stamp: u64) {
        let bytes = weight(&entry);
        let slot = Slot { entry: Some(entry), hash, stamp, newer: NONE, older: NONE };
        let at = self.free;
        let at = if let Some(free) = self.slots.get_mut(at as usize) {
            self.free = free.older;
            *free = slot;
            at
        } else {
            let Some(at) = u32::try_from(self.slots.len()).ok().filter(|at| *at != NONE) else {
                return;
            };
            if self.slots.len() == self.slots.capacity() {
                // In small steps, so that little is spare.
                self.slots.reserve_exact(16 + self.slots.len() / 8);
            }
            self.slots.push(slot);
            at
        };
        self.bytes += bytes;
        self.link(at);
        let slots = &self.slots;
        self.table
            .insert_unique(hash, at, |at| slots.get(*at as usize).map_or(0, |slot| slot.hash));
    }

    /// Puts another entry of the same user in the place of one.
    pub(super) fn replace(&mut self, place: Place, entry: Entry, stamp: u64) {
        if let Some(slot) = self.slots.get_mut(place.0 as usize) {
            self.bytes += weight(&entry);
            self.bytes -= slot.entry.as_ref().map_or(0, weight);
            slot.entry = Some(entry);
            slot.stamp = stamp;
        }
    }

    pub(super) fn remove(&mut self, Place(at): Place) {
        self.unlink(at);
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        self.bytes -= slot.entry.take().as_ref().map_or(0, weight);
        slot.older = self.free;
        self.free = at;
        if let Ok(found) = self.table.find_entry(slot.hash, |other| *other == at) {
            found.remove();
        }
    }

    /// Returns the entry that has not been used for the longest time.
    pub(super) fn oldest(&self) -> Option<Place> {
        (self.oldest != NONE).then_some(Place(self.oldest))
    }

    fn link(&mut self, at: u32) {
        let older = std::mem::replace(&mut self.newest, at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.newer, slot.older) = (NONE, older);
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some((newer, older)) = self.slots.get(at as usize).map(|slot| (slot.newer, slot.older))
        else {
            return;
        };
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

fn weight(entry: &Entry) -> usize {
    OVERHEAD_BYTES + entry.len()
}
