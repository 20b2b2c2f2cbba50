//! Users' facts and current counters in memory, so that most questions need no statement
//! (`docs/decisions/2026-11-30-facts-in-memory.md`).
//!
//! What is here is what is stored, at every instant. Before a commit, the writer notes whom it changes:
//! from then on they are *changing*, and readers ask the database, in a snapshot that begins then. After
//! the commit, before anybody is told of it, the writer makes the same changes here. A commit that fails
//! drops them. A reader adds what it has read if no commit was made since its snapshot began and the user
//! is not changing.

mod bytes;
mod changes;
mod entry;
mod exceptions;
mod known;
mod lru;
mod names;
mod shard;
#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use kana_core::catalog::CatalogVersion;
use kana_core::id::{UserId, UserKey};

pub(super) use self::changes::FactsChanges;
use self::changes::UserChanges;
pub(super) use self::known::{COUNTERS_MAX, Counter, KnownUser, Rows};
pub(super) use self::shard::{AsOf, Found, LookedUp};
use self::shard::{Shard, Whose};
use crate::app::EnvironmentId;

/// How many locks there are. Those who wait for one wait for a fraction of a microsecond.
const SHARDS: usize = 16;
/// The cache has one lock if it is smaller.
const SHARDED_FROM_BYTES: usize = 16 << 20;

/// How much of users' facts is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactsCacheLimits {
    /// How much memory, in bytes; 0 if nothing is kept.
    pub bytes: usize,
    /// How many users.
    pub users: usize,
}

impl FactsCacheLimits {
    /// 128 MiB.
    pub const DEFAULT: Self = Self { bytes: 128 << 20, users: usize::MAX };

    /// So many MiB.
    #[must_use]
    pub fn mib(mib: u32) -> Self {
        let bytes = usize::try_from(u64::from(mib) << 20).unwrap_or(usize::MAX);
        Self { bytes, ..Self::DEFAULT }
    }
}

impl Default for FactsCacheLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Users' facts in memory.
pub(super) struct FactsCache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Of each shard.
    limits: FactsCacheLimits,
}

/// A user whom a commit changes, after the hash.
type ChangedUser = (u64, (EnvironmentId, UserId), UserChanges);

/// The changes of a commit under way. They must be either [made](FactsCache::make) or
/// [dropped](FactsCache::drop_changes).
#[must_use]
pub(super) struct CommitUnderWay {
    /// In the order of the shards.
    users: Vec<ChangedUser>,
    catalogs: Vec<(EnvironmentId, CatalogVersion)>,
}

impl FactsCache {
    pub(super) fn new(FactsCacheLimits { bytes, users }: FactsCacheLimits) -> Self {
        let one = bytes < SHARDED_FROM_BYTES || users < usize::MAX;
        let shards = if one { 1 } else { SHARDS };
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
            limits: FactsCacheLimits { bytes: bytes / shards, users },
        }
    }

    /// Returns true if anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.limits.bytes > 0 && self.limits.users > 0
    }

    pub(super) fn look_up(&self, environment: EnvironmentId, id: &UserId) -> LookedUp {
        let whose = self.whose(environment, id);
        self.shard(whose.hash).look_up(whose)
    }

    /// Returns true if what was found then is current.
    pub(super) fn is_still(&self, environment: EnvironmentId, id: &UserId, as_of: AsOf) -> bool {
        let whose = self.whose(environment, id);
        self.shard(whose.hash).is_still(whose, as_of)
    }

    /// Returns the current version of a catalog, if it is known. Only for the writer: a commit under way
    /// changes it.
    pub(super) fn catalog_version(&self, environment: EnvironmentId) -> Option<CatalogVersion> {
        self.shard(0).catalog_version(environment)
    }

    /// Adds the version of a catalog. Only for the writer, who has not changed it.
    pub(super) fn learn_catalog(&self, environment: EnvironmentId, version: CatalogVersion) {
        for shard in &self.shards {
            lock(shard).set_catalog(environment, Some(version));
        }
    }

    /// Adds a user, if what was read of it `is_current`. That is asked under the lock. The catalog's
    /// version is added, too.
    pub(super) fn learn(
        &self,
        environment: EnvironmentId,
        id: &UserId,
        read: (CatalogVersion, &KnownUser),
        is_current: impl Fn() -> bool,
    ) {
        let whose = self.whose(environment, id);
        let mut shard = self.shard(whose.hash);
        shard.learn(whose, read, is_current);
        shard.keep_within(self.limits.bytes, self.limits.users);
    }

    /// Adds counters of a user, if what was read of them `is_current`. That is asked under the lock.
    pub(super) fn learn_counters(
        &self,
        environment: EnvironmentId,
        id: &UserId,
        read: (UserKey, &[Counter]),
        is_current: impl Fn() -> bool,
    ) {
        let (key, counters) = read;
        let learn = |user: &mut KnownUser| user.learn(counters);
        self.learn_more(environment, id, (key, learn), is_current);
    }

    /// Adds all overrides or grants of a user, or that no hold lives, if what was read of them `is_current`.
    pub(super) fn learn_rows(
        &self,
        environment: EnvironmentId,
        id: &UserId,
        (key, rows): (UserKey, Rows),
        is_current: impl Fn() -> bool,
    ) {
        let learn = |user: &mut KnownUser| user.learn_rows(rows);
        self.learn_more(environment, id, (key, learn), is_current);
    }

    fn learn_more(
        &self,
        environment: EnvironmentId,
        id: &UserId,
        learn: (UserKey, impl FnOnce(&mut KnownUser)),
        is_current: impl Fn() -> bool,
    ) {
        let whose = self.whose(environment, id);
        let mut shard = self.shard(whose.hash);
        shard.learn_more(whose, learn, is_current);
        shard.keep_within(self.limits.bytes, self.limits.users);
    }

    /// Notes what a commit changes, before it is made.
    pub(super) fn begin(&self, changes: FactsChanges) -> CommitUnderWay {
        let FactsChanges { users, catalogs, .. } = changes;
        let mut users: Vec<_> = users
            .into_iter()
            .map(|((environment, id), changes)| {
                (self.whose(environment, &id).hash, (environment, id), changes)
            })
            .collect();
        users.sort_unstable_by_key(|(hash, ..)| self.number(*hash));
        let commit = CommitUnderWay { users, catalogs };
        self.in_each_shard(&commit, |shard, users| {
            users.iter().for_each(|(hash, ..)| shard.begin(*hash));
            let catalogs = commit.catalogs.iter();
            catalogs.for_each(|(environment, _)| shard.begin_catalog(*environment));
        });
        commit
    }

    /// Makes the changes of a commit that was made, and that every snapshot shows that begins now.
    pub(super) fn make(&self, commit: &CommitUnderWay) {
        self.in_each_shard(commit, |shard, users| {
            for (hash, (environment, id), changes) in users {
                shard.apply(Whose { hash: *hash, user: (*environment, id) }, changes);
            }
            for (environment, version) in &commit.catalogs {
                shard.set_catalog(*environment, Some(*version));
            }
            shard.end();
            shard.keep_within(self.limits.bytes, self.limits.users);
        });
    }

    /// Drops the users and catalogs that a failed commit was to change, once it is rolled back.
    pub(super) fn drop_changes(&self, commit: &CommitUnderWay) {
        self.in_each_shard(commit, |shard, users| {
            for (hash, (environment, id), _) in users {
                shard.forget(Whose { hash: *hash, user: (*environment, id) });
            }
            for (environment, _) in &commit.catalogs {
                shard.set_catalog(*environment, None);
            }
            shard.end();
        });
    }

    /// Does `work` in each shard that a commit changes, with the users in it.
    fn in_each_shard(&self, commit: &CommitUnderWay, work: impl Fn(&mut Shard, &[ChangedUser])) {
        let mut rest = commit.users.as_slice();
        for (number, shard) in self.shards.iter().enumerate() {
            let count = rest.partition_point(|(hash, ..)| self.number(*hash) == number);
            let (users, others) = rest.split_at(count);
            rest = others;
            if !users.is_empty() || !commit.catalogs.is_empty() {
                work(&mut lock(shard), users);
            }
        }
    }

    fn whose<'a>(&self, environment: EnvironmentId, id: &'a UserId) -> Whose<'a> {
        let hash = self.hasher.hash_one((environment, id.as_str()));
        Whose { hash, user: (environment, id) }
    }

    /// Returns the number of the shard. The table in it uses other bits of the hash.
    fn number(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) % self.shards.len()
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.number(hash)])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
