//! The row in which one look-up finds a user's facts says what the tables say.

use std::collections::{BTreeMap, BTreeSet};

use kana_core::credits::Cost;
use kana_core::grant::{Grant, GrantKey};
use kana_core::hold::{Hold, HoldEnd};
use kana_core::id::{GrantId, HoldId, OverrideId};
use kana_core::overrides::{Override, OverrideTerms};
use kana_core::quantity::Quantity;
use kana_core::terms::{TermsHistory, TermsNumber};
use proptest::prelude::*;

use super::super::{facts, user_facts};
use super::*;
use crate::transfer::{Scope, export, import};

/// Users by key, subscriptions of each, and ids.
const USERS: u128 = 4;
const SUBSCRIPTIONS: u128 = 3;
const IDS: u128 = 8;

/// Asserts that rows say what the tables say. Returns the ids of users who have a row, of those who exist.
pub(super) fn assert_rows_agree(
    connection: &Connection,
    environment: EnvironmentId,
    ids: impl IntoIterator<Item = UserId>,
) -> BTreeMap<String, bool> {
    let mut has_row = BTreeMap::new();
    for id in ids {
        let by_id = user_facts::facts(connection, environment, &id).unwrap();
        let stored = facts::facts_from_tables(connection, environment, &id).unwrap();
        if by_id.is_some() {
            assert_eq!(by_id, stored);
        }
        if stored.is_some() {
            has_row.insert(id.as_str().to_owned(), by_id.is_some());
        }
    }
    has_row
}

#[derive(Debug, Clone)]
enum Edit {
    Create(u128),
    Subscribe(u128, u128),
    Cancel(u128, u128),
    Quantity(u128, u128, u32),
    Timing(u128, u128, i64),
    Override(u128, u8),
    RemoveOverride(u128, u8),
    Grant(u128, u8),
    ForgetGrant(u128, u8),
    Hold(u128, u8),
    EndHold(u128, u8),
    Rename(u128, u128),
    Delete(u128, u128),
}

#[derive(Debug, Clone)]
enum Step {
    Change {
        edits: Vec<Edit>,
        commits: bool,
    },
    /// As many users of before the table get rows.
    Gather(usize),
    /// As if the database were one of before the table.
    TakeOver,
    Restart,
    Transfer,
}

fn edit() -> impl Strategy<Value = Edit> {
    let (user, which) = (0..USERS, 0..SUBSCRIPTIONS);
    prop_oneof![
        4 => user.clone().prop_map(Edit::Create),
        6 => (user.clone(), which.clone()).prop_map(|(user, which)| Edit::Subscribe(user, which)),
        3 => (user.clone(), which.clone()).prop_map(|(user, which)| Edit::Cancel(user, which)),
        2 => (user.clone(), which.clone(), 1..9_u32)
            .prop_map(|(user, which, quantity)| Edit::Quantity(user, which, quantity)),
        2 => (user.clone(), which, 0..9_i64)
            .prop_map(|(user, which, ms)| Edit::Timing(user, which, ms)),
        2 => (user.clone(), 0..2_u8).prop_map(|(user, feature)| Edit::Override(user, feature)),
        2 => (user.clone(), 0..2_u8).prop_map(|(user, feature)| Edit::RemoveOverride(user, feature)),
        2 => (user.clone(), 0..2_u8).prop_map(|(user, grant)| Edit::Grant(user, grant)),
        2 => (user.clone(), 0..2_u8).prop_map(|(user, grant)| Edit::ForgetGrant(user, grant)),
        2 => (user.clone(), 0..2_u8).prop_map(|(user, hold)| Edit::Hold(user, hold)),
        2 => (user.clone(), 0..2_u8).prop_map(|(user, hold)| Edit::EndHold(user, hold)),
        2 => (user.clone(), 0..IDS).prop_map(|(user, id)| Edit::Rename(user, id)),
        1 => (user, 0..IDS).prop_map(|(user, id)| Edit::Delete(user, id)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let change = (prop::collection::vec(edit(), 1..6), prop::bool::weighted(0.8));
    prop_oneof![
        12 => change.prop_map(|(edits, commits)| Step::Change { edits, commits }),
        3 => (1..4_usize).prop_map(Step::Gather),
        1 => Just(Step::TakeOver),
        1 => Just(Step::Restart),
        1 => Just(Step::Transfer),
    ]
}

fn denial(user: u128, feature: u8) -> Override {
    let terms = OverrideTerms::Deny;
    Override {
        id: OverrideId::of(Uuid::from_u128((user + 1) << 64 | u128::from(feature))),
        feature: feature_of(feature),
        terms,
        starts_at: NOW,
        ends_at: None,
        reason: None,
        history: TermsHistory::beginning_with(terms.allowance()),
    }
}

/// The change of what one user has and most have not.
fn exception(edit: &Edit) -> Change {
    match *edit {
        Edit::Override(user, feature) => Change::PutOverride(denial(user, feature)),
        Edit::RemoveOverride(_, feature) => Change::DeleteOverride { feature: feature_of(feature) },
        Edit::Grant(user, grant) => Change::PutGrant(grant_of(user, grant)),
        Edit::ForgetGrant(user, grant) => Change::DeleteGrant { grant: grant_of(user, grant).key },
        Edit::Hold(user, hold) => Change::PutHold(hold_of(user, hold)),
        Edit::EndHold(user, hold) => {
            let ended = Some((HoldEnd::Released, NOW));
            Change::PutHold(Hold { ended, ..hold_of(user, hold) })
        }
        ref other => panic!("no exception: {other:?}"),
    }
}

fn hold_of(user: u128, hold: u8) -> Hold {
    Hold {
        id: HoldId::new("id", &format!("hold-{hold}")).unwrap(),
        feature: feature_of(0),
        amount: 5,
        cost: Cost::ONE,
        counter: CounterKey {
            subscription: SubscriptionId(Uuid::from_u128(subscription_of(user, 0))),
            feature: feature_of(0),
            terms: TermsNumber(0),
            period_start: NOW,
        },
        created_at: NOW,
        expires_at: Timestamp::MAX,
        ended: None,
    }
}

fn grant_of(user: u128, grant: u8) -> Grant {
    let key = GrantKey(Uuid::from_u128((user + 1) << 72 | u128::from(grant)));
    Grant {
        key,
        id: GrantId::new("id", &key.0.to_string()).unwrap(),
        feature: feature_of(0),
        amount: 5,
        drawn: 0,
        priority: 0,
        starts_at: NOW,
        expires_at: None,
        voided_at: None,
        reason: None,
        created_at: NOW,
    }
}

fn feature_of(feature: u8) -> FeatureId {
    FeatureId::new("feature", &format!("f{feature}")).unwrap()
}

fn subscription_of(user: u128, which: u128) -> u128 {
    100 * (user + 1) + which
}

/// What the edits need to know of what is stored.
#[derive(Debug, Clone, Default)]
struct State {
    /// Ids by the user.
    ids: BTreeMap<u128, u128>,
    /// Whether each subscription runs.
    subscriptions: BTreeMap<u128, bool>,
}

impl State {
    /// Returns the change, if the edit is possible; makes it here as well.
    fn apply(&mut self, edit: &Edit) -> Option<(UserKey, Change)> {
        let named = |user, id: u128| User { key: user_key(user), ..User::named(named_id(id)) };
        let at = |user: u128, change| Some((user_key(user), change));
        match *edit {
            Edit::Create(user) => {
                if self.ids.contains_key(&user) || self.ids.values().any(|id| *id == user) {
                    return None;
                }
                self.ids.insert(user, user);
                at(user, Change::CreateUser(named(user, user)))
            }
            Edit::Subscribe(user, which) => {
                let id = subscription_of(user, which);
                if !self.ids.contains_key(&user) || self.subscriptions.contains_key(&id) {
                    return None;
                }
                self.subscriptions.insert(id, true);
                at(user, subscribe(id, None))
            }
            Edit::Cancel(user, which) => {
                let id = subscription_of(user, which);
                let runs = self.subscriptions.get_mut(&id).filter(|runs| **runs)?;
                *runs = false;
                let subscription = SubscriptionId(Uuid::from_u128(id));
                at(user, Change::CancelSubscription { subscription, ended_at: NOW })
            }
            Edit::Quantity(user, which, quantity) => {
                let id = subscription_of(user, which);
                self.subscriptions.get(&id).filter(|runs| **runs)?;
                let quantity = Quantity::new("quantity", quantity.into()).unwrap();
                let subscription = SubscriptionId(Uuid::from_u128(id));
                let quantities = Quantities::of(quantity);
                at(user, Change::SetQuantities { subscription, quantities })
            }
            Edit::Timing(user, which, ms) => {
                let id = subscription_of(user, which);
                self.subscriptions.get(&id).filter(|runs| **runs)?;
                let subscription = SubscriptionId(Uuid::from_u128(id));
                let end = (ms > 0).then(|| NOW.saturating_add_ms(ms));
                let timing = Timing { starts_ahead: ms > 5, end, ..Timing::NONE };
                at(user, Change::SetTiming { subscription, timing })
            }
            Edit::Override(user, _)
            | Edit::RemoveOverride(user, _)
            | Edit::Grant(user, _)
            | Edit::ForgetGrant(user, _)
            | Edit::Hold(user, _)
            | Edit::EndHold(user, _) => {
                self.ids.get(&user)?;
                at(user, exception(edit))
            }
            Edit::Rename(user, id) => {
                let previous = self.rename(user, id)?;
                let previous_id = Some(named_id(previous));
                at(user, Change::UpdateUser { user: named(user, id), previous_id })
            }
            Edit::Delete(user, id) => {
                let previous_id = named_id(self.rename(user, id)?);
                at(user, Change::DeleteUser { user: named(user, id), previous_id })
            }
        }
    }

    fn rename(&mut self, user: u128, id: u128) -> Option<u128> {
        if !self.ids.contains_key(&user) || self.ids.values().any(|taken| *taken == id) {
            return None;
        }
        self.ids.insert(user, id)
    }
}

fn named_id(id: u128) -> UserId {
    user_id(&format!("user-{id}"))
}

struct World {
    store: Option<SqliteStore>,
    environment: EnvironmentId,
    directory: TempDir,
    state: State,
}

impl World {
    async fn new() -> Self {
        let (store, environment, directory) = store_with_app().await;
        Self { store: Some(store), environment, directory, state: State::default() }
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().unwrap()
    }

    fn restart(&mut self) {
        drop(self.store.take());
        self.store = Some(SqliteStore::open_for_server(self.directory.path()).unwrap());
    }

    fn assert_agrees(&self, connection: &Connection) -> BTreeMap<String, bool> {
        assert_rows_agree(connection, self.environment, (0..IDS).map(named_id))
    }

    async fn change(&mut self, edits: &[Edit], commits: bool) {
        let mut next = self.state.clone();
        let mut writer = self.store().begin_write().await.unwrap();
        for edit in edits {
            if let Some(change) = next.apply(edit) {
                writer.change_facts(self.environment, &[change]).await.unwrap();
            }
            writer
                .step(|connection| {
                    self.assert_agrees(connection);
                    Ok(())
                })
                .unwrap();
        }
        if commits {
            writer.commit_changes().unwrap();
            self.state = next;
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Change { edits, commits } => self.change(&edits, commits).await,
            Step::Gather(users) => {
                self.store().gather_user_facts(users).await.unwrap();
            }
            Step::TakeOver => {
                drop(self.store.take());
                let sql = "DELETE FROM user_facts; DELETE FROM user_facts_to_gather;
                    INSERT INTO user_facts_to_gather SELECT id, '' FROM environments";
                raw(self.directory.path()).execute_batch(sql).unwrap();
                self.restart();
            }
            Step::Restart => self.restart(),
            Step::Transfer => self.transfer().await,
        }
        self.assert_is_sound().await;
    }

    /// Goes on with an import of what was exported.
    async fn transfer(&mut self) {
        let environments = EnvironmentKind::ALL.to_vec();
        let scope = Scope { environments, token_secrets: false, user: None };
        let mut file = Vec::new();
        export(self.store(), &scope, &mut file, NOW, &mut |_| {}).await.unwrap();
        self.directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(self.directory.path()).unwrap();
        import(&store, std::io::Cursor::new(file), None, &mut |_| {}).await.unwrap();
        self.store = Some(store);
        let ids = self.store().ask(|connection| Ok(self.assert_agrees(connection))).unwrap();
        assert!(ids.values().all(|has_row| *has_row), "{ids:?}");
    }

    /// Asserts that rows are as they should be, and that `kana check` says so.
    async fn assert_is_sound(&self) {
        let ids = self.store().ask(|connection| Ok(self.assert_agrees(connection))).unwrap();
        let stored: BTreeSet<String> =
            self.state.ids.values().map(|id| named_id(*id).as_str().to_owned()).collect();
        assert_eq!(ids.into_keys().collect::<BTreeSet<_>>(), stored);
        assert_eq!(copies(self.store()).await, [""; 0]);
    }
}

/// What `kana check` finds of rows that say what other rows say.
async fn copies(store: &SqliteStore) -> Vec<String> {
    let mut found = Vec::new();
    let mut take = |finding: crate::check::Finding| {
        if finding.check == "copies" {
            found.push(format!("{} {}", finding.subject, finding.found));
        }
    };
    store.check(NOW, &mut take).await.unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_row_says_what_the_tables_say_after_every_command(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.step(step).await;
            }
            while world.store().gather_user_facts(2).await.unwrap() {}
            let ids = world.store().ask(|connection| Ok(world.assert_agrees(connection))).unwrap();
            assert!(ids.values().all(|has_row| *has_row), "{ids:?}");
            world.assert_is_sound().await;
        });
    }
}

#[tokio::test]
async fn users_of_before_the_table_get_rows_some_at_a_time_and_are_found_meanwhile() {
    const MANY: u128 = 100;
    let (store, environment, directory) = store_with_app().await;
    for n in 0..MANY {
        change(&store, environment, user_key(n), [create_user(n), subscribe(n, None)]).await;
    }
    drop(store);
    // As the release before left it.
    drop_user_facts(&raw(directory.path()));

    let ids = || (0..MANY).map(|n| user_id(&n.to_string()));
    let rows = |store: &SqliteStore| {
        let rows =
            store.ask(|connection| Ok(assert_rows_agree(connection, environment, ids()))).unwrap();
        assert_eq!(rows.len(), 100);
        rows.values().filter(|has_row| **has_row).count()
    };
    let mut store = SqliteStore::open_for_server(directory.path()).unwrap();
    let mut reader = store.read().await.unwrap();
    let all = reader.facts(environment, &ids().collect::<Vec<_>>()).await.unwrap();
    assert!(all.users.iter().flatten().all(|user| user.subscriptions().len() == 1));
    drop(reader);
    assert_eq!(rows(&store), 0);
    assert_eq!(copies(&store).await, [""; 0]);
    // A server that ends before all have rows goes on with the next start.
    for round in 1..=10 {
        assert!(store.gather_user_facts(10).await.unwrap());
        assert_eq!(rows(&store), 10 * round);
        drop(store);
        store = SqliteStore::open_for_server(directory.path()).unwrap();
    }
    assert!(store.gather_user_facts(10).await.unwrap(), "of this environment there are no more");
    assert!(!store.gather_user_facts(10).await.unwrap());
    assert_eq!(copies(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_user_with_more_subscriptions_than_fit_is_found_in_the_tables() {
    let (store, environment, _directory) = store_with_app().await;
    let many = (1..=40).map(|n| subscribe(n, None));
    change(&store, environment, user_key(1), std::iter::once(create_user(1)).chain(many)).await;
    let look = |store: &SqliteStore| {
        let ids = [user_id("1")];
        let rows = store.ask(|connection| Ok(assert_rows_agree(connection, environment, ids)));
        rows.unwrap().into_values().next()
    };
    assert_eq!(look(&store), Some(false));
    let mut reader = store.read().await.unwrap();
    let facts = reader.facts(environment, &[user_id("1")]).await.unwrap().users.remove(0);
    assert_eq!(facts.unwrap().subscriptions().len(), 40);
    drop(reader);
    assert_eq!(copies(&store).await, [""; 0]);

    let cancel = |n| {
        let subscription = SubscriptionId(Uuid::from_u128(n));
        Change::CancelSubscription { subscription, ended_at: NOW }
    };
    change(&store, environment, user_key(1), (4..=40).map(cancel)).await;
    assert_eq!(look(&store), Some(true));
}

#[tokio::test]
async fn facts_are_read_with_one_statement() {
    let (store, environment, _directory) = store_with_app().await;
    change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
    let mut reader = store.read().await.unwrap();
    reader.facts(environment, &[user_id("1")]).await.unwrap();
    let before = store.statements_run();
    let facts = reader.facts(environment, &[user_id("1")]).await.unwrap();
    assert_eq!(facts.users[0].as_ref().unwrap().subscriptions().len(), 1);
    assert_eq!(store.statements_run(), before + 1);
}

#[tokio::test]
async fn a_row_that_disagrees_is_found_by_a_check() {
    let (store, environment, directory) = store_with_app().await;
    change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
    change(&store, environment, user_key(2), [create_user(2)]).await;
    let other =
        "has other facts than the tables of users, subscriptions, overrides, grants and holds say";
    let none = "has no row among the facts of users";
    for (damage, found) in [
        ("SET running = x'' WHERE user_id = '1'", vec![format!("user 1 in test {other}")]),
        ("SET running = NULL WHERE user_id = '2'", vec![format!("user 2 in test {other}")]),
        ("SET has_overrides = 1 WHERE user_id = '1'", vec![format!("user 1 in test {other}")]),
        ("SET has_grants = 1 WHERE user_id = '1'", vec![format!("user 1 in test {other}")]),
        ("SET has_holds = 1 WHERE user_id = '1'", vec![format!("user 1 in test {other}")]),
        (
            "SET user_id = '3' WHERE user_id = '2'",
            vec![format!("user 3 in test {other}"), format!("user 2 in test {none}")],
        ),
    ] {
        let connection = raw(directory.path());
        let backup = "CREATE TABLE saved AS SELECT * FROM user_facts";
        connection.execute_batch(backup).unwrap();
        connection.execute_batch(&format!("UPDATE user_facts {damage}")).unwrap();
        assert_eq!(copies(&store).await, found, "{damage}");
        let restore = "DELETE FROM user_facts; INSERT INTO user_facts SELECT * FROM saved;
            DROP TABLE saved";
        connection.execute_batch(restore).unwrap();
        assert_eq!(copies(&store).await, [""; 0], "{damage}");
    }
}
