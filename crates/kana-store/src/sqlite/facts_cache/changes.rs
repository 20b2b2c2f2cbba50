//! What a transaction changes of users' facts and of catalogs.

use std::collections::HashMap;

use kana_core::catalog::CatalogVersion;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{UserId, UserKey};

use super::known::{Counter, KnownChange};
use crate::app::EnvironmentId;

/// What a transaction changes, until it is committed.
#[derive(Default)]
pub(in crate::sqlite) struct FactsChanges {
    /// Users whose facts the transaction has read or changed.
    noted: HashMap<(EnvironmentId, UserKey), Noted>,
    pub(super) users: HashMap<(EnvironmentId, UserId), UserChanges>,
    pub(super) catalogs: Vec<(EnvironmentId, CatalogVersion)>,
}

struct Noted {
    /// The id as the transaction knows it.
    id: UserId,
    /// Counters that were in memory when the transaction read the user.
    counters: Vec<Counter>,
}

/// What a transaction changes of the user with an id.
#[derive(Debug)]
pub(super) enum UserChanges {
    /// Only what can be known.
    Known(Vec<KnownChange>),
    /// Somebody else may have the id afterwards.
    Other,
}

impl FactsChanges {
    /// Returns true if nothing was changed.
    pub(in crate::sqlite) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.catalogs.is_empty()
    }

    /// Notes the id of a user, and the counters that are in memory.
    pub(in crate::sqlite) fn note_user(
        &mut self,
        (environment, key): (EnvironmentId, UserKey),
        id: &UserId,
        counters: Vec<Counter>,
    ) {
        self.noted.insert((environment, key), Noted { id: id.clone(), counters });
    }

    /// Returns true if [`note`](Self::note) needs the user's id, and has not been told it.
    pub(in crate::sqlite) fn needs_id(
        &self,
        environment: EnvironmentId,
        key: UserKey,
        change: &Change,
    ) -> bool {
        let is_known = matches!(change, Change::CreateUser(_)) || known(change).is_none();
        !is_known && !self.noted.contains_key(&(environment, key))
    }

    /// Notes a change of a user.
    pub(in crate::sqlite) fn note(
        &mut self,
        environment: EnvironmentId,
        key: UserKey,
        change: &Change,
    ) {
        let (id, previous_id) = match change {
            Change::CreateUser(user) => (&user.id, None),
            Change::UpdateUser { user, previous_id } => (&user.id, previous_id.as_ref()),
            Change::DeleteUser { user, previous_id } => (&user.id, Some(previous_id)),
            change => {
                // Nobody has the id of a user who is not there.
                if let Some(known) = known(change)
                    && let Some(Noted { id, .. }) = self.noted.get(&(environment, key))
                {
                    self.add(environment, id.clone(), known);
                }
                return;
            }
        };
        for id in [Some(id), previous_id].into_iter().flatten() {
            self.users.insert((environment, id.clone()), UserChanges::Other);
        }
        self.note_user((environment, key), id, Vec::new());
    }

    /// Notes that a catalog has this version from now on.
    pub(in crate::sqlite) fn note_catalog(
        &mut self,
        environment: EnvironmentId,
        version: CatalogVersion,
    ) {
        self.catalogs.retain(|(of, _)| *of != environment);
        self.catalogs.push((environment, version));
    }

    /// Returns true if the user with this id is not as before the transaction.
    pub(in crate::sqlite) fn changes(&self, environment: EnvironmentId, id: &UserId) -> bool {
        !self.users.is_empty() && self.users.contains_key(&(environment, id.clone()))
    }

    /// Returns the id of a user who is as before the transaction, if it was noted.
    pub(in crate::sqlite) fn unchanged(
        &self,
        environment: EnvironmentId,
        key: UserKey,
    ) -> Option<&UserId> {
        let Noted { id, .. } = self.noted.get(&(environment, key))?;
        (!self.changes(environment, id)).then_some(id)
    }

    /// Returns a counter that was in memory, of a user who is as before the transaction.
    pub(in crate::sqlite) fn used(
        &self,
        environment: EnvironmentId,
        (key, counter): &(UserKey, CounterKey),
    ) -> Option<Option<i64>> {
        let Noted { id, counters } = self.noted.get(&(environment, *key))?;
        let (_, used) = counters.iter().find(|(known, _)| known == counter)?;
        (!self.changes(environment, id)).then_some(*used)
    }

    /// Returns true if the transaction changes the catalog.
    pub(in crate::sqlite) fn changes_catalog(&self, environment: EnvironmentId) -> bool {
        self.catalogs.iter().any(|(of, _)| *of == environment)
    }

    fn add(&mut self, environment: EnvironmentId, id: UserId, change: KnownChange) {
        let changes = self
            .users
            .entry((environment, id))
            .or_insert_with(|| UserChanges::Known(Vec::with_capacity(1)));
        if let UserChanges::Known(changes) = changes {
            changes.push(change);
        }
    }
}

/// Returns the change of what can be known of a user; `None` if it is no such change.
fn known(change: &Change) -> Option<KnownChange> {
    Some(match change {
        Change::SetCounter { counter, used } => KnownChange::Set(counter.clone(), Some(*used)),
        Change::DeleteCounter { counter } => KnownChange::Set(counter.clone(), None),
        Change::AddSubscription(subscription) if subscription.ended_at.is_none() => {
            KnownChange::Begin(subscription.clone())
        }
        Change::AddSubscription(subscription) => KnownChange::End(subscription.id),
        Change::CancelSubscription { subscription, .. } => KnownChange::End(*subscription),
        Change::CreateUser(_)
        | Change::UpdateUser { .. }
        | Change::DeleteUser { .. }
        | Change::LogEvent(_)
        | Change::CrossLimit(_)
        | Change::KeepReplay { .. } => return None,
    })
}
