//! When keys were last used, to the minute: kept in memory, and written once a minute by the runner of
//! jobs (contract: `operations.md`, "Keys").

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use kana_core::Timestamp;

const MINUTE_MS: i64 = 60_000;

/// The most keys whose uses are remembered at a time. Those beyond are noted by a later use.
const REMEMBERED_MAX: usize = 10_000;

/// Uses of keys that are not written yet: each key's number with its last minute.
#[derive(Default)]
pub(crate) struct KeyUses(Mutex<BTreeMap<i64, Timestamp>>);

/// The last minute of a key that [`KeyUses`] knows, so that a check of the same minute takes no lock.
pub(crate) struct LastMinute(AtomicI64);

impl Default for LastMinute {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl KeyUses {
    /// Notes that a key is used now.
    pub(crate) fn note(&self, id: i64, last: &LastMinute, now: Timestamp) {
        let minute = now.as_ms().div_euclid(MINUTE_MS);
        if last.0.swap(minute, Ordering::Relaxed) == minute {
            return;
        }
        let at = Timestamp::from_ms(minute.saturating_mul(MINUTE_MS));
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < REMEMBERED_MAX || uses.contains_key(&id) {
            uses.entry(id).and_modify(|known| *known = at.max(*known)).or_insert(at);
        }
    }

    /// Takes what is to be written.
    pub(crate) fn take(&self) -> Vec<(i64, Timestamp)> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *uses).into_iter().collect()
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, taken: Vec<(i64, Timestamp)>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, at) in taken {
            uses.entry(id).and_modify(|known| *known = at.max(*known)).or_insert(at);
        }
    }

    /// Returns the minute of a key's last use that is not written yet.
    pub(crate) fn latest(&self, id: i64) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse("at", text).unwrap()
    }

    #[test]
    fn a_key_has_the_last_minute_of_its_uses_whichever_check_notes_it_last() {
        let (uses, one, other) = (KeyUses::default(), LastMinute::default(), LastMinute::default());
        uses.note(7, &one, at("2026-11-29T09:03:59.999Z"));
        uses.note(7, &one, at("2026-11-29T09:04:00.000Z"));
        uses.note(7, &other, at("2026-11-29T09:03:00.000Z"));
        assert_eq!(uses.latest(7), Some(at("2026-11-29T09:04:00.000Z")));
        let taken = uses.take();
        assert_eq!(taken, [(7, at("2026-11-29T09:04:00.000Z"))]);
        // The same minute is not written again, and what was not written is not lost.
        uses.note(7, &one, at("2026-11-29T09:05:00.000Z"));
        assert_eq!(uses.take(), [(7, at("2026-11-29T09:05:00.000Z"))]);
        uses.note(7, &one, at("2026-11-29T09:05:30.000Z"));
        assert!(uses.take().is_empty());
        uses.put_back(taken.clone());
        assert_eq!(uses.take(), taken);
    }
}
