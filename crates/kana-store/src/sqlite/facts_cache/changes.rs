//! What a transaction changes of users' facts and of catalogs.

use foldhash::HashMap;
use kana_core::catalog::CatalogVersion;
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{UserId, UserKey};

use super::known::{COUNTERS_MAX, Counter, KnownChange, KnownUser, Rows};
use crate::app::EnvironmentId;

/// What a transaction changes, until it is committed.
#[derive(Default)]
pub(crate) struct FactsChanges {
    /// Users whose facts the transaction has read or changed.
    noted: HashMap<(EnvironmentId, UserKey), Noted>,
    pub(super) users: HashMap<(EnvironmentId, UserId), UserChanges>,
    pub(super) catalogs: Vec<(EnvironmentId, CatalogVersion)>,
}

struct Noted {
    /// The id as the transaction knows it.
    id: UserId,
    /// What the transaction has read of the user before it changed anything, if the user is not in memory.
    read: Option<KnownUser>,
    /// What it has read of a user who is in memory without that.
    learned: Vec<KnownChange>,
}

/// What a transaction changes of the user with an id.
#[derive(Debug)]
pub(super) enum UserChanges {
    /// Only changes of what is kept in memory. With what the transaction has read of the user before, if the
    /// user is not in memory yet.
    Known(Vec<KnownChange>, Option<KnownUser>),
    /// The id may belong to another user afterwards.
    Other,
}

impl FactsChanges {
    /// Returns true if nothing was changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.catalogs.is_empty()
    }

    /// Notes the id of a user who is in memory, or whom the transaction has changed.
    pub(crate) fn note_id(&mut self, environment: EnvironmentId, key: UserKey, id: &UserId) {
        let noted = Noted { id: id.clone(), read: None, learned: Vec::new() };
        self.noted.insert((environment, key), noted);
    }

    /// Notes what was read of a user who is not in memory, and whom the transaction has not changed.
    pub(crate) fn note_user(&mut self, environment: EnvironmentId, id: &UserId, read: KnownUser) {
        let key = (environment, read.key);
        let noted = Noted { id: id.clone(), read: Some(read), learned: Vec::new() };
        self.noted.insert(key, noted);
    }

    /// Notes counters that were read of a user whom the transaction has not changed.
    pub(crate) fn note_counters(
        &mut self,
        environment: EnvironmentId,
        key: UserKey,
        counters: Vec<Counter>,
    ) {
        match self.noted.get_mut(&(environment, key)) {
            Some(Noted { read: Some(read), .. }) => read.learn(&counters),
            Some(noted) if counters.len() <= COUNTERS_MAX => {
                noted.learned.push(KnownChange::LearnCounters(counters));
            }
            _ => {}
        }
    }

    /// Notes all overrides or grants that were read of a user whom the transaction has not changed.
    pub(crate) fn note_rows(&mut self, environment: EnvironmentId, key: UserKey, rows: Rows) {
        match self.noted.get_mut(&(environment, key)) {
            Some(Noted { read: Some(read), .. }) => read.learn_rows(rows),
            Some(Noted { learned, .. }) => learned.push(KnownChange::LearnRows(rows)),
            None => {}
        }
    }

    /// Returns true if [`note`](Self::note) needs the user's id, and has not been told it.
    pub(crate) fn needs_id(
        &self,
        environment: EnvironmentId,
        key: UserKey,
        change: &Change,
    ) -> bool {
        !self.noted.contains_key(&(environment, key)) && known(change).is_some()
    }

    /// Notes a change of a user.
    pub(crate) fn note(&mut self, environment: EnvironmentId, key: UserKey, change: &Change) {
        let (id, previous_id) = match change {
            Change::CreateUser(user) => (&user.id, None),
            Change::UpdateUser { user, previous_id } => (&user.id, previous_id.as_ref()),
            Change::DeleteUser { user, previous_id } => (&user.id, Some(previous_id)),
            change => {
                // A user whose id was not noted does not exist.
                if let Some(known) = known(change)
                    && let Some(noted) = self.noted.get_mut(&(environment, key))
                {
                    let before = (noted.read.take(), std::mem::take(&mut noted.learned));
                    let id = noted.id.clone();
                    self.add(environment, id, known, before);
                }
                return;
            }
        };
        for id in [Some(id), previous_id].into_iter().flatten() {
            self.users.insert((environment, id.clone()), UserChanges::Other);
        }
        self.note_id(environment, key, id);
    }

    /// Notes that a catalog has this version from now on.
    pub(crate) fn note_catalog(&mut self, environment: EnvironmentId, version: CatalogVersion) {
        self.catalogs.retain(|(of, _)| *of != environment);
        self.catalogs.push((environment, version));
    }

    /// Returns true if the user with this id is not as before the transaction.
    pub(crate) fn changes(&self, environment: EnvironmentId, id: &UserId) -> bool {
        !self.users.is_empty() && self.users.contains_key(&(environment, id.clone()))
    }

    /// Returns true if the user was read, and is as before the transaction.
    pub(crate) fn is_unchanged(&self, environment: EnvironmentId, key: UserKey) -> bool {
        let noted = self.noted.get(&(environment, key));
        noted.is_some_and(|Noted { id, .. }| !self.changes(environment, id))
    }

    /// Returns a counter that was read, of a user who is not in memory and as before the transaction.
    pub(crate) fn counter(
        &self,
        environment: EnvironmentId,
        (key, counter): &(UserKey, CounterKey),
    ) -> Option<Option<CounterValue>> {
        let Noted { id, read, .. } = self.noted.get(&(environment, *key))?;
        let value = read.as_ref()?.counter(counter)?;
        (!self.changes(environment, id)).then(|| value.cloned())
    }

    /// Returns true if the transaction changes the catalog.
    pub(crate) fn changes_catalog(&self, environment: EnvironmentId) -> bool {
        self.catalogs.iter().any(|(of, _)| *of == environment)
    }

    fn add(
        &mut self,
        environment: EnvironmentId,
        id: UserId,
        change: KnownChange,
        (before, mut learned): (Option<KnownUser>, Vec<KnownChange>),
    ) {
        let changes = self.users.entry((environment, id)).or_insert_with(|| {
            learned.reserve_exact(1);
            UserChanges::Known(learned, before)
        });
        if let UserChanges::Known(changes, _) = changes {
            changes.push(change);
        }
    }
}

/// Returns the change of what can be known of a user; `None` if it is no such change.
fn known(change: &Change) -> Option<KnownChange> {
    Some(match change {
        Change::SetCounter { counter, value } => {
            KnownChange::Set(counter.clone(), Some(value.clone()))
        }
        Change::DeleteCounter { counter } => KnownChange::Set(counter.clone(), None),
        Change::AddSubscription(subscription) if subscription.ended_at.is_none() => {
            KnownChange::Begin(subscription.clone())
        }
        Change::AddSubscription(subscription) => KnownChange::End(subscription.id),
        Change::CancelSubscription { subscription, .. } => KnownChange::End(*subscription),
        Change::SetQuantities { subscription, quantities } => {
            KnownChange::Quantities(*subscription, quantities.clone())
        }
        Change::PutOverride(new) => KnownChange::PutOverride(Box::new(new.clone())),
        Change::DeleteOverride { feature } => KnownChange::DeleteOverride(feature.clone()),
        Change::PutGrant(new) => KnownChange::PutGrant(Box::new(new.clone())),
        Change::SetDrawn { grant, drawn } => KnownChange::SetDrawn(*grant, *drawn),
        Change::DeleteGrant { grant } => KnownChange::DeleteGrant(*grant),
        Change::PutHold(_) => KnownChange::Hold,
        Change::SetTiming { subscription, timing } => KnownChange::Timing(*subscription, *timing),
        Change::CreateUser(_)
        | Change::UpdateUser { .. }
        | Change::DeleteUser { .. }
        | Change::LogEvent(_)
        | Change::CrossLimit(_)
        | Change::ReachThreshold(_)
        | Change::KeepReplay { .. } => return None,
    })
}
