use std::hash::Hash;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;

/// How long a look-up is trusted without asking the store again. A revocation by any process must
/// take effect within five seconds.
const TRUSTED_FOR: Duration = Duration::from_secs(2);

/// The maximum number of entries.
const REMEMBERED_MAX: usize = 10_000;

/// A cache of recent look-ups. Callers must only add what exists, so that nobody can fill it from
/// outside.
pub(crate) struct Recent<K, V>(RwLock<HashMap<K, Entry<V>>>);

struct Entry<V> {
    /// `None` if the value was dropped. The entry stays, so that an earlier look-up that is still
    /// running does not bring the value back.
    value: Option<V>,
    at: Instant,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let recent = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = recent.get(key)?;
        let value = entry.value.as_ref()?;
        (entry.at.elapsed() < TRUSTED_FOR).then(|| value.clone())
    }

    /// Adds a value. `looked_up_at` is the time before the store was asked.
    pub(crate) fn remember(&self, key: K, value: V, looked_up_at: Instant) {
        let mut recent = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if recent.get(&key).is_some_and(|entry| entry.at > looked_up_at) {
            return;
        }
        if recent.len() >= REMEMBERED_MAX {
            recent.clear();
        }
        recent.insert(key, Entry { value: Some(value), at: looked_up_at });
    }

    pub(crate) fn forget(&self, key: &K) {
        let mut recent = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = recent.get_mut(key) {
            *entry = Entry { value: None, at: Instant::now() };
        }
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Drops the values for which `is_meant` returns true.
    pub(crate) fn forget_where(&self, is_meant: impl Fn(&V) -> bool) {
        let mut recent = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for entry in recent.values_mut() {
            if entry.value.as_ref().is_some_and(&is_meant) {
                *entry = Entry { value: None, at: Instant::now() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_that_began_before_something_was_forgotten_does_not_bring_it_back() {
        let recent = Recent::default();
        let before = Instant::now();
        recent.remember("key", "old", before);
        recent.forget(&"key");
        recent.remember("key", "old", before);
        assert_eq!(recent.get(&"key"), None);
        recent.remember("key", "new", Instant::now());
        assert_eq!(recent.get(&"key"), Some("new"));
    }
}
