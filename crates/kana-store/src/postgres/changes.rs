//! Changes grouped by table, in their final state: an array for each column.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use kana_core::Timestamp;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, IdempotencyKey, SubscriptionId, UserKey};
use kana_core::idempotency::Replay;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::usage::UsageEvent;
use kana_core::user::User;

/// What to write to each table. A row that changes many times is written once, so the order of the
/// changes no longer matters.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    pub(super) updated_users: IndexMap<UserKey, &'a User>,
    pub(super) created_users: Vec<(UserKey, &'a User)>,
    pub(super) added: Vec<(UserKey, Subscription)>,
    pub(super) cancelled: IndexMap<(UserKey, SubscriptionId), Timestamp>,
    /// The new value of each counter; `None` deletes it.
    pub(super) counters: IndexMap<(UserKey, &'a CounterKey), Option<i64>>,
    pub(super) events: Vec<(UserKey, &'a UsageEvent)>,
    pub(super) replays: Vec<(&'a IdempotencyKey, &'a Replay)>,
}

impl<'a> Gathered<'a> {
    /// The features that are used, each once, sorted.
    pub(super) fn used_features(&self) -> BTreeSet<&'a FeatureId> {
        let counted = self.counters.keys().map(|(_, counter)| &counter.feature);
        counted.chain(self.events.iter().map(|(_, event)| &event.feature)).collect()
    }

    pub(super) fn new(changes: &'a [(UserKey, Change)]) -> Self {
        let mut gathered = Self::default();
        // The position of each row that is new in this batch.
        let mut created: HashMap<UserKey, usize> = HashMap::new();
        let mut added: HashMap<(UserKey, SubscriptionId), usize> = HashMap::new();
        for (user, change) in changes {
            match change {
                Change::CreateUser(new) => {
                    created.insert(*user, gathered.created_users.len());
                    gathered.created_users.push((*user, new));
                }
                Change::UpdateUser(changed) => {
                    let new = created.get(user).and_then(|at| gathered.created_users.get_mut(*at));
                    if let Some((_, new)) = new {
                        *new = changed;
                    } else {
                        gathered.updated_users.insert(*user, changed);
                    }
                }
                Change::AddSubscription(new) => {
                    added.insert((*user, new.id), gathered.added.len());
                    gathered.added.push((*user, new.clone()));
                }
                Change::CancelSubscription { subscription, ended_at } => {
                    let key = (*user, *subscription);
                    let new = added.get(&key).and_then(|at| gathered.added.get_mut(*at));
                    if let Some((_, new)) = new {
                        new.status = SubscriptionStatus::Cancelled;
                        new.ended_at = Some(*ended_at);
                    } else {
                        gathered.cancelled.insert(key, *ended_at);
                    }
                }
                Change::SetCounter { counter, used } => {
                    gathered.counters.insert((*user, counter), Some(*used));
                }
                Change::DeleteCounter { counter } => {
                    gathered.counters.insert((*user, counter), None);
                }
                Change::LogEvent(event) => gathered.events.push((*user, event)),
                Change::KeepReplay { key, replay } => gathered.replays.push((key, replay)),
            }
        }
        // Writers of a new key wait for each other. The order is always the same, to avoid deadlocks.
        gathered.created_users.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        gathered.replays.sort_by_key(|(key, _)| *key);
        gathered
    }
}

#[cfg(test)]
mod tests {
    use kana_core::id::{PackageId, UserId};
    use uuid::Uuid;

    use super::*;

    fn user(id: &str) -> User {
        User {
            key: UserKey(Uuid::nil()),
            id: UserId::new("id", id).unwrap(),
            billing_id: None,
            name: None,
            email: None,
            metadata: None,
        }
    }

    #[test]
    fn a_row_that_is_new_and_changes_is_written_once_as_it_is_in_the_end() {
        let (ada, bob) = (UserKey(Uuid::from_u128(1)), UserKey(Uuid::from_u128(2)));
        let id = SubscriptionId(Uuid::from_u128(3));
        let subscription = Subscription {
            id,
            package: PackageId::new("package", "pro").unwrap(),
            status: SubscriptionStatus::Active,
            started_at: Timestamp::MIN,
            ended_at: None,
        };
        let end = Timestamp::from_ms(7);
        let changes = [
            (ada, Change::CreateUser(user("z"))),
            (bob, Change::UpdateUser(user("b"))),
            (ada, Change::UpdateUser(user("ada"))),
            (bob, Change::UpdateUser(user("bob"))),
            (ada, Change::AddSubscription(subscription.clone())),
            (ada, Change::CancelSubscription { subscription: id, ended_at: end }),
            // Another user's, so nothing is cancelled.
            (bob, Change::CancelSubscription { subscription: id, ended_at: end }),
        ];
        let gathered = Gathered::new(&changes);
        assert_eq!(gathered.created_users, [(ada, &user("ada"))]);
        assert_eq!(gathered.updated_users, IndexMap::from([(bob, &user("bob"))]));
        let cancelled = Subscription {
            status: SubscriptionStatus::Cancelled,
            ended_at: Some(end),
            ..subscription
        };
        assert_eq!(gathered.added, [(ada, cancelled)]);
        assert_eq!(gathered.cancelled, IndexMap::from([((bob, id), end)]));
    }
}
