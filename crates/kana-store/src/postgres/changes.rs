//! Changes grouped by table, in their final state: an array for each column.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;
use kana_core::Timestamp;
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey};
use kana_core::grant::{Grant, GrantKey};
use kana_core::hold::Hold;
use kana_core::id::{FeatureId, HoldId, IdempotencyKey, SubscriptionId, UserId, UserKey};
use kana_core::idempotency::Replay;
use kana_core::near_limit::Share;
use kana_core::overrides::Override;
use kana_core::quantity::Quantities;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::threshold::ThresholdEvent;
use kana_core::timing::Timing;
use kana_core::usage::UsageEvent;
use kana_core::user::User;

use crate::limit_crossings::period_end;

/// What to write to each table. A row that changes many times is written once, so the order of the
/// changes no longer matters.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    pub(super) users: Users<'a>,
    /// The earlier id of each user who is deleted, and the one in its place.
    pub(super) deleted_ids: Vec<(&'a UserId, &'a UserId)>,
    pub(super) added: Vec<(UserKey, Subscription)>,
    pub(super) cancelled: IndexMap<(UserKey, SubscriptionId), Timestamp>,
    /// The new quantities of each subscription that is not added.
    pub(super) quantities: IndexMap<(UserKey, SubscriptionId), &'a Quantities>,
    /// The new timing of each subscription that is not added.
    pub(super) timings: IndexMap<(UserKey, SubscriptionId), &'a Timing>,
    /// The new state of each override; `None` deletes it.
    pub(super) overrides: IndexMap<(UserKey, &'a FeatureId), Option<&'a Override>>,
    /// The new state of each grant, but for what only was drawn; `None` deletes it.
    pub(super) grants: IndexMap<(UserKey, GrantKey), Option<Cow<'a, Grant>>>,
    /// How much of each other grant is drawn.
    pub(super) drawn: IndexMap<(UserKey, GrantKey), i64>,
    /// The new state of each hold.
    pub(super) holds: IndexMap<(UserKey, &'a HoldId), &'a Hold>,
    /// Users who are deleted, and their overrides and grants with them.
    pub(super) deleted_users: Vec<UserKey>,
    /// The new value of each counter; `None` deletes it.
    pub(super) counters: IndexMap<(UserKey, &'a CounterKey), Option<&'a CounterValue>>,
    pub(super) events: Vec<(UserKey, &'a UsageEvent)>,
    /// When the newest of each user, feature, end of a period and share was.
    pub(super) crossings: IndexMap<(UserKey, &'a FeatureId, i64, Share), Timestamp>,
    pub(super) thresholds: Vec<(UserKey, &'a ThresholdEvent)>,
    pub(super) replays: Vec<(&'a IdempotencyKey, &'a Replay)>,
}

/// The position of each subscription that is new in a batch.
type Added = HashMap<(UserKey, SubscriptionId), usize>;

impl<'a> Gathered<'a> {
    /// The features that are used or given to a user, each once, sorted.
    pub(super) fn used_features(&self) -> BTreeSet<&FeatureId> {
        let counted =
            self.counters.keys().map(|(_, counter): &(_, &'a CounterKey)| &counter.feature);
        let used = counted.chain(self.events.iter().map(|(_, event)| &event.feature));
        let overrides = self.overrides.values().flatten().map(|known| &known.feature);
        let given = self.grants.values().flatten().map(|grant| &grant.feature);
        let held = self.holds.values().map(|hold| &hold.feature);
        used.chain(overrides).chain(given).chain(held).collect()
    }

    /// Returns true if nothing but usage is recorded.
    pub(super) fn is_usage(&self) -> bool {
        self.users.rows.is_empty()
            && self.added.is_empty()
            && self.cancelled.is_empty()
            && self.quantities.is_empty()
            && self.timings.is_empty()
            && self.overrides.is_empty()
            && self.grants.is_empty()
            && self.holds.is_empty()
    }

    fn put_grant(&mut self, grant: (UserKey, GrantKey), new: Option<Cow<'a, Grant>>) {
        self.drawn.swap_remove(&grant);
        self.grants.insert(grant, new);
    }

    fn draw(&mut self, grant: (UserKey, GrantKey), drawn: i64) {
        match self.grants.get_mut(&grant) {
            Some(Some(new)) => new.to_mut().drawn = drawn,
            Some(None) => {}
            None => {
                self.drawn.insert(grant, drawn);
            }
        }
    }

    /// Adds a change of a subscription.
    fn change_subscription(&mut self, user: UserKey, change: &'a Change, added: &mut Added) {
        let id = match change {
            Change::AddSubscription(new) => {
                added.insert((user, new.id), self.added.len());
                self.added.push((user, new.clone()));
                return;
            }
            Change::CancelSubscription { subscription, .. }
            | Change::SetQuantities { subscription, .. }
            | Change::SetTiming { subscription, .. } => *subscription,
            _ => return,
        };
        let key = (user, id);
        let new = added.get(&key).and_then(|at| self.added.get_mut(*at)).map(|(_, new)| new);
        match (change, new) {
            (Change::CancelSubscription { ended_at, .. }, Some(new)) => {
                new.status = SubscriptionStatus::Cancelled;
                new.ended_at = Some(*ended_at);
            }
            (Change::CancelSubscription { ended_at, .. }, None) => {
                self.cancelled.insert(key, *ended_at);
            }
            (Change::SetQuantities { quantities, .. }, Some(new)) => {
                new.quantities = quantities.clone();
            }
            (Change::SetQuantities { quantities, .. }, None) => {
                self.quantities.insert(key, quantities);
            }
            (Change::SetTiming { timing, .. }, Some(new)) => new.timing = *timing,
            (Change::SetTiming { timing, .. }, None) => {
                self.timings.insert(key, timing);
            }
            _ => {}
        }
    }

    pub(super) fn new(changes: &'a [(UserKey, Change)]) -> Self {
        let mut gathered = Self::default();
        let mut added = Added::new();
        for (user, change) in changes {
            match change {
                Change::CreateUser(new) => gathered.users.create(*user, new),
                Change::UpdateUser { user: changed, previous_id } => {
                    gathered.users.update(*user, changed, previous_id.as_ref());
                }
                Change::DeleteUser { user: left, previous_id } => {
                    gathered.users.update(*user, left, Some(previous_id));
                    gathered.deleted_ids.push((previous_id, &left.id));
                    gathered.overrides.retain(|(of, _), _| of != user);
                    gathered.grants.retain(|(of, _), _| of != user);
                    gathered.drawn.retain(|(of, _), _| of != user);
                    gathered.thresholds.retain(|(of, _)| of != user);
                    gathered.deleted_users.push(*user);
                }
                Change::AddSubscription(_)
                | Change::CancelSubscription { .. }
                | Change::SetQuantities { .. }
                | Change::SetTiming { .. } => {
                    gathered.change_subscription(*user, change, &mut added);
                }
                Change::PutOverride(new) => {
                    gathered.overrides.insert((*user, &new.feature), Some(new));
                }
                Change::DeleteOverride { feature } => {
                    gathered.overrides.insert((*user, feature), None);
                }
                Change::PutGrant(new) => {
                    gathered.put_grant((*user, new.key), Some(Cow::Borrowed(new)));
                }
                Change::SetDrawn { grant, drawn } => gathered.draw((*user, *grant), *drawn),
                Change::DeleteGrant { grant } => gathered.put_grant((*user, *grant), None),
                Change::PutHold(new) => {
                    gathered.holds.insert((*user, &new.id), new);
                }
                Change::SetCounter { counter, value } => {
                    gathered.counters.insert((*user, counter), Some(value));
                }
                Change::DeleteCounter { counter } => {
                    gathered.counters.insert((*user, counter), None);
                }
                Change::LogEvent(event) => gathered.events.push((*user, event)),
                Change::CrossLimit(crossing) => {
                    let key = (*user, &crossing.feature, period_end(crossing), crossing.share);
                    gathered.crossings.insert(key, crossing.crossed_at);
                }
                Change::ReachThreshold(event) => gathered.thresholds.push((*user, event)),
                Change::KeepReplay { key, replay } => gathered.replays.push((key, replay)),
            }
        }
        // Writers of a new key wait for each other. The order is always the same, to avoid deadlocks.
        gathered.replays.sort_by_key(|(key, _)| *key);
        gathered
    }
}

/// Users who are new or change.
#[derive(Default)]
pub(super) struct Users<'a> {
    /// A row for each change, in their order.
    rows: Vec<(UserKey, &'a User)>,
    /// The last row of each user.
    last: HashMap<UserKey, &'a User>,
    created: Vec<UserKey>,
    taken_ids: HashSet<&'a UserId>,
    freed_ids: HashSet<&'a UserId>,
}

impl<'a> Users<'a> {
    fn create(&mut self, key: UserKey, user: &'a User) {
        self.created.push(key);
        self.taken_ids.insert(&user.id);
        self.add(key, user);
    }

    fn update(&mut self, key: UserKey, user: &'a User, previous_id: Option<&'a UserId>) {
        if let Some(previous) = previous_id {
            self.taken_ids.insert(&user.id);
            self.freed_ids.insert(previous);
        }
        self.add(key, user);
    }

    fn add(&mut self, key: UserKey, user: &'a User) {
        self.rows.push((key, user));
        self.last.insert(key, user);
    }

    pub(super) fn created(&self) -> &[UserKey] {
        &self.created
    }

    /// Returns each user as written in the end.
    pub(super) fn last(&self) -> impl Iterator<Item = (UserKey, &'a User)> {
        self.last.iter().map(|(key, user)| (*key, *user))
    }

    /// Returns true if the row of this user is written.
    pub(super) fn has(&self, user: UserKey) -> bool {
        self.last.contains_key(&user)
    }

    /// Returns the rows of each statement, in the order of the statements.
    ///
    /// Usually it is one statement, with its rows in the order of the ids: writers of a new id wait
    /// for each other, and one order avoids deadlocks. If an id is freed and also taken, each change
    /// gets its own statement, since the unique index is checked after each row. An id that a user
    /// has only for a moment is written, too: no other transaction can take it before the commit.
    pub(super) fn statements(&self) -> Vec<Vec<(UserKey, &'a User)>> {
        if !self.taken_ids.is_disjoint(&self.freed_ids) {
            return self.rows.iter().map(|row| vec![*row]).collect();
        }
        let mut rows: Vec<_> = self.last.iter().map(|(key, user)| (*key, *user)).collect();
        rows.sort_unstable_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        if rows.is_empty() { Vec::new() } else { vec![rows] }
    }
}

#[cfg(test)]
mod tests {
    use kana_core::id::{PackageId, UserId};
    use uuid::Uuid;

    use super::*;

    fn updated(id: &str, previous: Option<&str>) -> Change {
        let previous_id = previous.map(|id| UserId::new("id", id).unwrap());
        Change::UpdateUser { user: user(id), previous_id }
    }

    fn user(id: &str) -> User {
        User::named(UserId::new("id", id).unwrap())
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
            quantities: Quantities::ONE,
            timing: Timing::NONE,
        };
        let end = Timestamp::from_ms(7);
        let changes = [
            (ada, Change::CreateUser(user("z"))),
            (bob, updated("b", None)),
            (ada, updated("ada", None)),
            (bob, updated("bob", None)),
            (ada, Change::AddSubscription(subscription.clone())),
            (ada, Change::CancelSubscription { subscription: id, ended_at: end }),
            // Another user's, so nothing is cancelled.
            (bob, Change::CancelSubscription { subscription: id, ended_at: end }),
        ];
        let gathered = Gathered::new(&changes);
        assert_eq!(gathered.users.created(), [ada]);
        assert_eq!(gathered.users.statements(), [[(ada, &user("ada")), (bob, &user("bob"))]]);
        let cancelled = Subscription {
            status: SubscriptionStatus::Cancelled,
            ended_at: Some(end),
            ..subscription
        };
        assert_eq!(gathered.added, [(ada, cancelled)]);
        assert_eq!(gathered.cancelled, IndexMap::from([((bob, id), end)]));
    }

    #[test]
    fn ids_are_taken_in_their_order_whoever_is_new_and_whoever_has_another() {
        let [ada, bob, cyd] = [1, 2, 3].map(|n| UserKey(Uuid::from_u128(n)));
        let changes = [
            (cyd, updated("n", Some("cyd"))),
            (ada, Change::CreateUser(user("z"))),
            (bob, Change::CreateUser(user("a"))),
        ];
        let users = Gathered::new(&changes).users;
        let expected = [(bob, user("a")), (cyd, user("n")), (ada, user("z"))];
        let [written] = &users.statements()[..] else { panic!("one statement") };
        assert!(written.iter().map(|(key, user)| (*key, (*user).clone())).eq(expected));
    }

    #[test]
    fn users_are_written_one_by_one_if_an_id_goes_from_one_to_another() {
        let [ada, bob] = [1, 2].map(|n| UserKey(Uuid::from_u128(n)));
        let goes_on = [(ada, updated("x", Some("ada"))), (bob, updated("ada", Some("bob")))];
        let is_made_anew =
            [(ada, updated("x", Some("ada"))), (bob, Change::CreateUser(user("ada")))];
        let in_between = [(ada, updated("x", Some("ada"))), (ada, updated("y", Some("x")))];
        let comes_back = [(ada, updated("x", Some("ada"))), (ada, updated("ada", Some("x")))];
        for changes in [goes_on, is_made_anew, in_between, comes_back] {
            let written: Vec<_> = Gathered::new(&changes).users.statements();
            let rows: Vec<UserId> = written.concat().iter().map(|row| row.1.id.clone()).collect();
            let ids = changes.iter().map(|(_, change)| match change {
                Change::CreateUser(user) | Change::UpdateUser { user, .. } => user.id.clone(),
                other => panic!("{other:?}"),
            });
            assert_eq!((written.len(), rows), (2, ids.collect()), "{changes:?}");
        }
    }
}
