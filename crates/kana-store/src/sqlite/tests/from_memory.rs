//! Answers from memory are answers of one instant, and never older than what was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use kana_core::catalog::CatalogVersion;
use kana_core::facts::UserFacts;
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::{GrantId, OverrideId};
use kana_core::overrides::{Override, OverrideTerms};
use kana_core::quantity::Quantity;
use kana_core::terms::TermsHistory;
use proptest::prelude::*;

use super::super::facts_cache::FactsChanges;
use super::user_facts::assert_rows_agree;
use super::*;

/// Users by key, ids, and subscriptions of each user.
const USERS: u128 = 5;
const SUBSCRIPTIONS: u128 = 2;
const PERIODS: i64 = 5;
/// What counts: the subscriptions, an override and the grants.
const COUNT: u128 = SUBSCRIPTIONS + 2;
/// What the end of a trial counts beside a quantity.
const TRIAL: u32 = 1000;

/// What is stored at an instant.
#[derive(Debug, Clone, Default)]
struct State {
    catalog: i64,
    ids: BTreeMap<String, u128>,
    /// Of users who exist or have existed.
    users: BTreeMap<u128, Stored>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Stored {
    /// Each with its quantity, and [`TRIAL`] times the end of its trial.
    running: Vec<(u128, u32)>,
    ended: Vec<u128>,
    counters: BTreeMap<(u128, i64), i64>,
    exceptions: Exceptions,
}

/// The user's override with its limit, and grants with what was drawn.
type Exceptions = (Option<(u128, i64)>, BTreeMap<u128, i64>);

#[derive(Debug, Clone)]
enum Edit {
    Create(u128),
    Subscribe(u128, u128),
    Cancel(u128, u128),
    Quantity(u128, u128, u32),
    Trial(u128, u128, u32),
    Set(u128, u128, i64, i64),
    Delete(u128, u128, i64),
    Rename(u128, u128),
    Override(u128, u128, i64),
    EndOverride(u128),
    Give(u128, u128),
    Draw(u128, u128, i64),
    ForgetGrant(u128, u128),
    Publish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    RollBack,
    Fail,
}

#[derive(Debug, Clone)]
enum Step {
    Change {
        edits: Vec<Edit>,
        reads: bool,
        end: End,
    },
    /// A question that is asked and answered at once.
    Ask(u128),
    Begin,
    Facts(usize, u128),
    Counters(usize, u128, Vec<(u128, i64)>),
    Exceptions(usize),
    Ended(usize),
    Drop(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let (user, which, counts) = (0..USERS, 0..SUBSCRIPTIONS, 0..COUNT);
    prop_oneof![
        4 => user.clone().prop_map(Edit::Create),
        4 => (user.clone(), which.clone()).prop_map(|(user, which)| Edit::Subscribe(user, which)),
        2 => (user.clone(), which.clone()).prop_map(|(user, which)| Edit::Cancel(user, which)),
        2 => (user.clone(), which.clone(), 2..9_u32)
            .prop_map(|(user, which, quantity)| Edit::Quantity(user, which, quantity)),
        2 => (user.clone(), which.clone(), 0..9_u32)
            .prop_map(|(user, which, trial)| Edit::Trial(user, which, trial)),
        8 => (user.clone(), counts.clone(), 0..PERIODS, 0..9_i64)
            .prop_map(|(user, which, period, used)| Edit::Set(user, which, period, used)),
        2 => (user.clone(), counts, 0..PERIODS)
            .prop_map(|(user, which, period)| Edit::Delete(user, which, period)),
        3 => (user.clone(), which.clone(), 0..9_i64)
            .prop_map(|(user, which, limit)| Edit::Override(user, which, limit)),
        1 => user.clone().prop_map(Edit::EndOverride),
        3 => (user.clone(), which.clone()).prop_map(|(user, which)| Edit::Give(user, which)),
        3 => (user.clone(), which.clone(), 0..9_i64)
            .prop_map(|(user, which, drawn)| Edit::Draw(user, which, drawn)),
        1 => (user.clone(), which).prop_map(|(user, which)| Edit::ForgetGrant(user, which)),
        1 => (user, 0..2 * USERS).prop_map(|(user, id)| Edit::Rename(user, id)),
        1 => Just(Edit::Publish),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![6 => Just(End::Commit), 1 => Just(End::RollBack), 1 => Just(End::Fail)];
    let reader = 0..3_usize;
    let some = prop::collection::vec((0..COUNT, 0..PERIODS), 1..4);
    let series = (0..COUNT).prop_map(|which| (0..PERIODS).map(|period| (which, period)).collect());
    let counters = prop_oneof![some, series];
    prop_oneof![
        6 => (prop::collection::vec(edit(), 1..4), any::<bool>(), end)
            .prop_map(|(edits, reads, end)| Step::Change { edits, reads, end }),
        8 => (0..2 * USERS).prop_map(Step::Ask),
        3 => Just(Step::Begin),
        6 => (reader.clone(), 0..2 * USERS).prop_map(|(reader, id)| Step::Facts(reader, id)),
        4 => (reader.clone(), 0..USERS, counters)
            .prop_map(|(reader, user, counters)| Step::Counters(reader, user, counters)),
        3 => reader.clone().prop_map(Step::Exceptions),
        1 => reader.clone().prop_map(Step::Ended),
        1 => reader.prop_map(Step::Drop),
    ]
}

fn name(n: u128) -> String {
    format!("user-{n}")
}

fn subscription_of(user: u128, which: u128) -> u128 {
    100 * (user + 1) + which
}

fn counter_of(user: u128, which: u128, period: i64) -> CounterKey {
    let subscription = match which {
        0 | 1 => SubscriptionId(Uuid::from_u128(subscription_of(user, which))),
        2 => SubscriptionId(override_id(user, 0).0),
        _ => SubscriptionId::of_grants(user_key(user)),
    };
    CounterKey { subscription, ..counter(0, period) }
}

fn override_id(user: u128, which: u128) -> OverrideId {
    OverrideId::of(Uuid::from_u128(1000 * (user + 1) + which))
}

fn an_override(user: u128, which: u128, limit: i64) -> Override {
    let terms = OverrideTerms::Allow { limit: Some(limit), overage_enabled: None, reset: None };
    Override {
        id: override_id(user, which),
        feature: FeatureId::new("featureId", "api-calls").unwrap(),
        terms,
        starts_at: NOW,
        ends_at: None,
        reason: None,
        history: TermsHistory::beginning_with(terms.allowance()),
    }
}

fn grant(which: u128) -> Grant {
    Grant {
        key: GrantKey(Uuid::from_u128(which)),
        id: GrantId::new("id", &which.to_string()).unwrap(),
        feature: FeatureId::new("featureId", "api-calls").unwrap(),
        amount: 10,
        drawn: 0,
        priority: 0,
        starts_at: NOW,
        expires_at: None,
        voided_at: None,
        reason: None,
        created_at: NOW,
    }
}

/// What overrides and grants of a user say, as the model has it.
fn exceptions(user: u128, overrides: &[Override], grants: &[Grant]) -> Exceptions {
    assert!(overrides.len() < 2);
    let known = overrides.first().map(|known| {
        let OverrideTerms::Allow { limit: Some(limit), .. } = known.terms else { panic!() };
        let which = (0..SUBSCRIPTIONS).find(|which| known.id == override_id(user, *which));
        assert_eq!(*known, an_override(user, which.unwrap(), limit));
        (which.unwrap(), limit)
    });
    let drawn = grants.iter().map(|known| {
        let which = known.key.0.as_u128();
        assert_eq!(*known, Grant { drawn: known.drawn, ..grant(which) });
        (which, known.drawn)
    });
    (known, drawn.collect())
}

/// Returns the overrides and grants as a rule gets them: with the facts, or else by asking for them.
async fn exceptions_of(
    reader: &mut dyn Transaction,
    environment: EnvironmentId,
    facts: &UserFacts,
) -> Result<Exceptions, StoreError> {
    let user = [facts.key];
    let overrides = match facts.overrides() {
        Ok(known) => known.to_vec(),
        Err(_) => reader.overrides_of(environment, &user).await?.remove(0),
    };
    let grants = match facts.grants() {
        Ok(known) => known.to_vec(),
        Err(_) => reader.grants_of(environment, &user).await?.remove(0),
    };
    Ok(exceptions(facts.key.0.as_u128(), &overrides, &grants))
}

impl State {
    fn id_of(&self, user: u128) -> Option<String> {
        self.ids.iter().find(|(_, key)| **key == user).map(|(id, _)| id.clone())
    }

    /// The change of the store, if the edit is possible; made here as well.
    fn apply(&mut self, edit: &Edit) -> Option<(UserKey, Change)> {
        let at = |user: u128, change| Some((user_key(user), change));
        match *edit {
            Edit::Create(user) => {
                if self.users.contains_key(&user) || self.ids.contains_key(&name(user)) {
                    return None;
                }
                self.users.insert(user, Stored::default());
                self.ids.insert(name(user), user);
                let new = User { key: user_key(user), ..User::named(user_id(&name(user))) };
                at(user, Change::CreateUser(new))
            }
            Edit::Subscribe(user, which) => {
                let stored = self.users.get_mut(&user)?;
                let subscription = subscription_of(user, which);
                let is_it = |(running, _): &(u128, u32)| *running == subscription;
                if stored.running.iter().any(is_it) || stored.ended.contains(&subscription) {
                    return None;
                }
                stored.running.push((subscription, 1));
                at(user, subscribe(subscription, None))
            }
            Edit::Cancel(user, which) => {
                let stored = self.users.get_mut(&user)?;
                let subscription = subscription_of(user, which);
                let is_it = |(running, _): &(u128, u32)| *running == subscription;
                let place = stored.running.iter().position(is_it)?;
                stored.running.remove(place);
                stored.ended.push(subscription);
                let subscription = SubscriptionId(Uuid::from_u128(subscription));
                at(user, Change::CancelSubscription { subscription, ended_at: NOW })
            }
            Edit::Quantity(user, which, quantity) => {
                let (subscription, known) = self.running(user, which)?;
                *known = *known / TRIAL * TRIAL + quantity;
                let quantities =
                    Quantities::of(Quantity::new("quantity", quantity.into()).unwrap());
                at(user, Change::SetQuantities { subscription, quantities })
            }
            Edit::Trial(user, which, ms) => {
                let (subscription, known) = self.running(user, which)?;
                *known = *known % TRIAL + ms * TRIAL;
                let trial_ends_at = (ms > 0).then(|| Timestamp::from_ms(ms.into()));
                let timing = Timing { trial_ends_at, ..Timing::NONE };
                at(user, Change::SetTiming { subscription, timing })
            }
            Edit::Set(user, which, period, used) => {
                let counters = &mut self.users.get_mut(&user)?.counters;
                counters.insert((which, period), used);
                at(
                    user,
                    Change::SetCounter {
                        counter: counter_of(user, which, period),
                        value: value(used),
                    },
                )
            }
            Edit::Delete(user, which, period) => {
                self.users.get_mut(&user)?.counters.remove(&(which, period));
                at(user, Change::DeleteCounter { counter: counter_of(user, which, period) })
            }
            Edit::Rename(user, to) => {
                let (user_now, previous) = self.rename(user, to)?;
                let previous_id = Some(user_id(&previous));
                at(user, Change::UpdateUser { user: user_now, previous_id })
            }
            Edit::Publish => None,
            _ => self.apply_to_exceptions(edit),
        }
    }

    /// The same of overrides and grants.
    fn apply_to_exceptions(&mut self, edit: &Edit) -> Option<(UserKey, Change)> {
        let at = |user: u128, change| Some((user_key(user), change));
        match *edit {
            Edit::Override(user, which, limit) => {
                self.users.get_mut(&user)?.exceptions.0 = Some((which, limit));
                at(user, Change::PutOverride(an_override(user, which, limit)))
            }
            Edit::EndOverride(user) => {
                self.users.get_mut(&user)?.exceptions.0.take()?;
                at(user, Change::DeleteOverride { feature: an_override(user, 0, 0).feature })
            }
            Edit::Give(user, which) => {
                let grants = &mut self.users.get_mut(&user)?.exceptions.1;
                if grants.contains_key(&which) {
                    return None;
                }
                grants.insert(which, 0);
                at(user, Change::PutGrant(grant(which)))
            }
            Edit::Draw(user, which, drawn) => {
                *self.users.get_mut(&user)?.exceptions.1.get_mut(&which)? = drawn;
                at(user, Change::SetDrawn { grant: grant(which).key, drawn })
            }
            Edit::ForgetGrant(user, which) => {
                self.users.get_mut(&user)?.exceptions.1.remove(&which)?;
                at(user, Change::DeleteGrant { grant: grant(which).key })
            }
            _ => None,
        }
    }

    fn exceptions(&self, user: u128) -> Exceptions {
        self.users.get(&user).map(|stored| stored.exceptions.clone()).unwrap_or_default()
    }

    /// Gives the user another id, if that is free. Returns the user as it is then, and the earlier id.
    fn rename(&mut self, user: u128, to: u128) -> Option<(User, String)> {
        let previous = self.id_of(user)?;
        if self.ids.contains_key(&name(to)) {
            return None;
        }
        self.ids.remove(&previous);
        self.ids.insert(name(to), user);
        let renamed = User { key: user_key(user), ..User::named(user_id(&name(to))) };
        Some((renamed, previous))
    }

    /// A subscription that runs, with what is known of it.
    fn running(&mut self, user: u128, which: u128) -> Option<(SubscriptionId, &mut u32)> {
        let subscription = subscription_of(user, which);
        let mut running = self.users.get_mut(&user)?.running.iter_mut();
        let (_, known) = running.find(|(running, _)| *running == subscription)?;
        Some((SubscriptionId(Uuid::from_u128(subscription)), known))
    }

    /// Key and running subscriptions of the user with an id.
    fn facts(&self, id: u128) -> Option<(UserKey, Vec<(u128, u32)>)> {
        let key = self.ids.get(&name(id))?;
        let mut running = self.users[key].running.clone();
        running.sort_unstable();
        Some((user_key(*key), running))
    }

    fn counters(&self, user: u128, asked: &[(u128, i64)]) -> Vec<Option<CounterValue>> {
        let stored = self.users.get(&user);
        let used = |key| stored.and_then(|user| user.counters.get(key).copied());
        asked.iter().map(|key| used(key).map(value)).collect()
    }

    fn ended(&self, user: u128) -> Vec<u128> {
        let mut ended = self.users.get(&user).map_or(Vec::new(), |stored| stored.ended.clone());
        ended.sort_unstable();
        ended
    }
}

fn user_of(facts: &UserFacts) -> u128 {
    facts.key.0.as_u128()
}

fn seen(facts: Option<&UserFacts>) -> Option<(UserKey, Vec<(u128, u32)>)> {
    let facts = facts?;
    let running = facts.subscriptions().iter();
    let mut running: Vec<(u128, u32)> = running
        .map(|running| {
            let trial = running.timing.trial_ends_at.map_or(0, Timestamp::as_ms);
            let trial = u32::try_from(trial).unwrap() * TRIAL;
            (running.id.0.as_u128(), running.quantities.current().get() + trial)
        })
        .collect();
    running.sort_unstable();
    Some((facts.key, running))
}

/// A counter by subscription and period, with its value.
type Counted = ((u128, i64), Option<CounterValue>);

/// The user's key, and the counters that came with the facts.
fn counters_in(facts: Option<&UserFacts>) -> (u128, Vec<Counted>) {
    let Some(facts) = facts else { return (0, Vec::new()) };
    let user = facts.key.0.as_u128();
    let all = (0..COUNT).flat_map(|which| (0..PERIODS).map(move |period| (which, period)));
    let known = all.filter_map(|(which, period)| {
        let known = facts.counter(&counter_of(user, which, period))?;
        Some(((which, period), known.cloned()))
    });
    (user, known.collect())
}

/// Whether an answer can be of an instant.
type IsOf = Box<dyn Fn(&State) -> bool>;

/// An open question, and the instants that all of its answers so far can be of.
struct Open {
    reader: Box<dyn Transaction>,
    instants: Vec<usize>,
    about: Option<u128>,
    /// Whether an answer so far can be of the instant.
    answers: Vec<IsOf>,
}

struct World {
    store: SqliteStore,
    environment: EnvironmentId,
    /// What was stored after each commit.
    states: Vec<State>,
    open: Vec<Open>,
    directory: TempDir,
}

impl World {
    async fn new(users: usize) -> Self {
        let (shared, environment, directory) = store_with_app().await;
        drop(shared);
        let limits = FactsCacheLimits { users, ..FactsCacheLimits::DEFAULT };
        let store =
            SqliteStore::open_for_server(directory.path()).unwrap().with_facts_cache(limits);
        let states = vec![State::default()];
        Self { store, environment, states, open: Vec::new(), directory }
    }

    fn state(&self) -> &State {
        self.states.last().unwrap()
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Change { edits, reads, end } => self.change(&edits, reads, end).await,
            Step::Ask(id) => self.ask(id).await,
            Step::Begin if self.open.len() < 3 => {
                let reader = self.store.read_facts().await.unwrap();
                let instants = vec![self.states.len() - 1];
                self.open.push(Open { reader, instants, about: None, answers: Vec::new() });
            }
            Step::Begin => {}
            Step::Facts(which, id) => self.read_facts(which, id).await,
            Step::Exceptions(which) => self.read_exceptions(which).await,
            Step::Counters(which, user, counters) => {
                let environment = self.environment;
                let about = self.open.get(which).and_then(|open| open.about).unwrap_or(user);
                let asked: Vec<_> = counters
                    .iter()
                    .map(|(of, period)| (user_key(about), counter_of(about, *of, *period)))
                    .collect();
                self.answer(
                    which,
                    async |open| open.reader.counters(environment, &asked).await,
                    move |state| state.counters(about, &counters),
                )
                .await;
            }
            Step::Ended(which) => {
                let environment = self.environment;
                let about = self.open.get(which).and_then(|open| open.about).unwrap_or(0);
                self.answer(
                    which,
                    async |open| {
                        let of = [user_key(about)];
                        let ended = open.reader.ended_subscriptions(environment, &of).await?;
                        let ended = ended.first().map_or(&[][..], Vec::as_slice);
                        let mut ended: Vec<u128> =
                            ended.iter().map(|ended| ended.id.0.as_u128()).collect();
                        ended.sort_unstable();
                        Ok(ended)
                    },
                    move |state| state.ended(about),
                )
                .await;
            }
            Step::Drop(which) if which < self.open.len() => drop(self.open.swap_remove(which)),
            Step::Drop(_) => {}
        }
    }

    /// Asks an open question for the facts. What comes with them must be of the same instant.
    async fn read_facts(&mut self, which: usize, id: u128) {
        let environment = self.environment;
        let (mut came, mut known) = ((0, Vec::new()), None);
        self.answer(
            which,
            async |open| {
                let facts = open.reader.facts(environment, &[user_id(&name(id))]).await?;
                let seen = seen(facts.users[0].as_ref());
                open.about = open.about.or_else(|| Some(seen.as_ref()?.0.0.as_u128()));
                came = counters_in(facts.users[0].as_ref());
                known = facts.users[0].as_ref().and_then(|facts| {
                    let (user, (overrides, grants)) =
                        (facts.key.0.as_u128(), (facts.overrides().ok()?, facts.grants().ok()?));
                    Some((user, exceptions(user, overrides, grants)))
                });
                Ok((facts.catalog_version, seen))
            },
            move |state| (CatalogVersion(state.catalog), state.facts(id)),
        )
        .await;
        let (user, came) = came;
        let (asked, used): (Vec<_>, Vec<_>) = came.into_iter().unzip();
        self.answer(which, async |_| Ok(used), move |state| state.counters(user, &asked)).await;
        if let Some((user, known)) = known {
            self.answer(which, async |_| Ok(known), move |state| state.exceptions(user)).await;
        }
    }

    async fn read_exceptions(&mut self, which: usize) {
        let environment = self.environment;
        let about = self.open.get(which).and_then(|open| open.about).unwrap_or(0);
        self.answer(
            which,
            async |open| {
                let user = [user_key(about)];
                let overrides = open.reader.overrides_of(environment, &user).await?;
                let grants = open.reader.grants_of(environment, &user).await?;
                Ok(exceptions(about, &overrides[0], &grants[0]))
            },
            move |state| state.exceptions(about),
        )
        .await;
    }

    async fn change(&mut self, edits: &[Edit], reads: bool, end: End) {
        let environment = self.environment;
        let mut next = self.state().clone();
        let mut writer = self.store.begin_write().await.unwrap();
        if reads {
            for id in 0..USERS {
                let facts = writer.facts(environment, &[user_id(&name(id))]).await.unwrap();
                assert_eq!(facts.catalog_version, CatalogVersion(next.catalog));
                assert_eq!(seen(facts.users[0].as_ref()), next.facts(id));
                if let Some(facts) = facts.users[0].as_ref() {
                    let known = exceptions_of(&mut writer, environment, facts).await.unwrap();
                    assert_eq!(known, next.exceptions(user_of(facts)));
                }
            }
        }
        for edit in edits {
            if matches!(edit, Edit::Publish) {
                let planned_on = writer.catalog_version(environment).await.unwrap();
                let version = writer.change_catalog(environment, planned_on, &[]).await.unwrap();
                next.catalog += 1;
                assert_eq!(version, CatalogVersion(next.catalog));
            }
            if let Some(change) = next.apply(edit) {
                writer.change_facts(environment, &[change]).await.unwrap();
            }
            let ids = (0..2 * USERS).map(|id| user_id(&name(id)));
            let agree = |connection: &_| Ok(assert_rows_agree(connection, environment, ids));
            assert!(writer.step(agree).unwrap().values().all(|has_row| *has_row));
            // The writer sees its own changes.
            for user in 0..USERS {
                let asked = [(0, 0), (1, 1)];
                let keys =
                    asked.map(|(which, period)| (user_key(user), counter_of(user, which, period)));
                let used = writer.counters(environment, &keys).await.unwrap();
                assert_eq!(used, next.counters(user, &asked));
                let facts = writer.facts(environment, &[user_id(&name(user))]).await.unwrap();
                assert_eq!(seen(facts.users[0].as_ref()), next.facts(user));
                if let Some(facts) = facts.users[0].as_ref() {
                    let known = exceptions_of(&mut writer, environment, facts).await.unwrap();
                    assert_eq!(known, next.exceptions(user_of(facts)));
                }
                let (key, came) = counters_in(facts.users[0].as_ref());
                let (asked, used): (Vec<_>, Vec<_>) = came.into_iter().unzip();
                assert_eq!(used, next.counters(key, &asked));
            }
        }
        match end {
            End::RollBack => return drop(writer),
            End::Fail => {
                // Now a commit that logs a counter cannot be made.
                let set =
                    (user_key(77), Change::SetCounter { counter: counter(77, 0), value: 1.into() });
                writer.change_facts(environment, &[set]).await.unwrap();
                writer
                    .step(
                        |connection| Ok(connection.run("ALTER TABLE counter_log RENAME TO gone")?),
                    )
                    .unwrap();
                writer.commit_changes().unwrap_err();
                return;
            }
            End::Commit => writer.commit_changes().unwrap(),
        }
        self.states.push(next);
        let instant = self.states.len() - 1;
        for open in &mut self.open {
            if open.answers.iter().all(|answer| answer(&self.states[instant])) {
                open.instants.push(instant);
            }
        }
    }

    async fn ask(&self, id: u128) {
        let mut reader = self.store.read_facts().await.unwrap();
        let facts = reader.facts(self.environment, &[user_id(&name(id))]).await.unwrap();
        let state = self.state();
        assert_eq!(facts.catalog_version, CatalogVersion(state.catalog));
        assert_eq!(seen(facts.users[0].as_ref()), state.facts(id));
        let Some(user) = facts.users[0].as_ref().map(|user| user.key.0.as_u128()) else { return };
        let facts = facts.users[0].as_ref().unwrap();
        let known = exceptions_of(reader.as_mut(), self.environment, facts).await.unwrap();
        assert_eq!(known, state.exceptions(user));
        for asked in [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)] {
            let counter = counter_of(user, asked.0, asked.1);
            let used = used(reader.as_mut(), self.environment, facts, counter).await.unwrap();
            assert_eq!([used.map(value)].as_slice(), state.counters(user, &[asked]));
        }
    }

    /// Asks an open question on. The answer must be of an instant that all answers before are of.
    async fn answer<T: PartialEq + std::fmt::Debug + 'static>(
        &mut self,
        which: usize,
        ask: impl AsyncFnOnce(&mut Open) -> Result<T, StoreError>,
        expected: impl Fn(&State) -> T + 'static,
    ) {
        let Some(open) = self.open.get_mut(which) else { return };
        match ask(open).await {
            Ok(answer) => {
                open.instants.retain(|instant| expected(&self.states[*instant]) == answer);
                assert!(!open.instants.is_empty(), "{answer:?} is of no instant");
                open.answers.push(Box::new(move |state| expected(state) == answer));
            }
            Err(StoreError::Conflict(_)) => {
                // Something was committed, or the user fell out of memory, since it was answered first.
                assert!(!open.answers.is_empty());
                drop(self.open.swap_remove(which));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_of_an_instant_of_its_question(
        steps in prop::collection::vec(step(), 1..80),
        users in prop_oneof![Just(3), Just(100)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(users).await;
            for step in steps {
                world.step(step).await;
            }
        });
    }
}

/// Two who ask one after the other while somebody commits: the second sees what the first has seen.
#[test]
fn what_one_question_has_seen_none_after_it_misses() {
    const ROUNDS: i64 = 150;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = runtime.block_on(async {
        let mut world = World::new(3).await;
        for user in 0..USERS {
            let edits = [Edit::Create(user), Edit::Subscribe(user, 0), Edit::Set(user, 0, 0, 0)];
            world.change(&edits, false, End::Commit).await;
        }
        world
    });
    let (store, environment) = (&world.store, world.environment);
    let seen: [AtomicI64; USERS as usize] = Default::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3_u128 {
            let (seen, done) = (&seen, &done);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut user = thread;
                while !done.load(Ordering::Acquire) {
                    user = (user + 1) % USERS;
                    let before = seen[user as usize].load(Ordering::SeqCst);
                    let asked = runtime.block_on(question(store, environment, user));
                    let Some(used) = asked else { continue };
                    assert!(used >= before, "{used} after {before}");
                    seen[user as usize].fetch_max(used, Ordering::SeqCst);
                }
            });
        }
        for round in 1..=ROUNDS {
            let set = |user: u128| {
                let counter = counter_of(user, 0, 0);
                (user_key(user), Change::SetCounter { counter, value: round.into() })
            };
            let sets: Vec<_> = (0..USERS)
                .filter(|user| !(*user + round as u128).is_multiple_of(3))
                .map(set)
                .collect();
            runtime.block_on(async {
                let mut writer = store.write().await.unwrap();
                writer.change_facts(environment, &sets).await.unwrap();
                writer.commit().await.unwrap();
            });
            for (user, change) in &sets {
                let Change::SetCounter { value, .. } = change else { continue };
                seen[user.0.as_u128() as usize].fetch_max(value.used, Ordering::SeqCst);
            }
        }
        done.store(true, Ordering::Release);
    });
}

/// Returns a counter as a rule gets it: with the facts, or else by asking for it.
async fn used(
    reader: &mut dyn Transaction,
    environment: EnvironmentId,
    facts: &UserFacts,
    counter: CounterKey,
) -> Result<Option<i64>, StoreError> {
    match facts.stored(&counter) {
        Some(stored) => Ok(stored),
        None => {
            let read = reader.counters(environment, &[(facts.key, counter)]).await?;
            Ok(read[0].as_ref().map(|value| value.used))
        }
    }
}

/// How much a user has used; `None` if the question must be asked again.
async fn question(store: &SqliteStore, environment: EnvironmentId, user: u128) -> Option<i64> {
    let mut reader = store.read_facts().await.unwrap();
    let facts = reader.facts(environment, &[user_id(&name(user))]).await.unwrap();
    let facts = facts.users[0].as_ref().unwrap();
    match used(reader.as_mut(), environment, facts, counter_of(user, 0, 0)).await {
        Ok(used) => used,
        Err(StoreError::Conflict(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn who_is_in_memory_costs_no_statement() {
    let mut world = World::new(3).await;
    let edits = [Edit::Create(1), Edit::Subscribe(1, 0), Edit::Set(1, 0, 0, 5)];
    world.change(&edits, false, End::Commit).await;
    assert_eq!(question(&world.store, world.environment, 1).await, Some(5));
    let before = world.store.statements_run();
    assert_eq!(question(&world.store, world.environment, 1).await, Some(5));
    assert_eq!(world.store.statements_run(), before);

    world.change(&[Edit::Set(1, 0, 0, 6)], true, End::Commit).await;
    let before = world.store.statements_run();
    assert_eq!(question(&world.store, world.environment, 1).await, Some(6));
    assert_eq!(world.store.statements_run(), before);
}

#[tokio::test]
async fn who_has_an_override_and_grants_is_in_memory_with_them() {
    let mut world = World::new(3).await;
    let edits = [
        Edit::Create(1),
        Edit::Override(1, 0, 5),
        Edit::Give(1, 0),
        Edit::Give(1, 1),
        Edit::Set(1, 2, 0, 5),
        Edit::Set(1, 3, 0, 6),
    ];
    world.change(&edits, false, End::Commit).await;
    let asks = async |world: &World, expected: [i64; 2]| {
        let before = world.store.statements_run();
        let mut reader = world.store.read_facts().await.unwrap();
        let facts = reader.facts(world.environment, &[user_id(&name(1))]).await.unwrap();
        let facts = facts.users[0].as_ref().unwrap();
        let known = exceptions_of(reader.as_mut(), world.environment, facts).await.unwrap();
        assert_eq!(known, world.state().exceptions(1));
        for (which, expected) in [2, 3].into_iter().zip(expected) {
            let counter = counter_of(1, which, 0);
            let used = used(reader.as_mut(), world.environment, facts, counter).await.unwrap();
            assert_eq!(used, Some(expected));
        }
        drop(reader);
        world.store.statements_run() - before
    };
    assert!(asks(&world, [5, 6]).await > 0);
    assert_eq!(asks(&world, [5, 6]).await, 0);
    let edits = [Edit::Draw(1, 1, 4), Edit::Set(1, 3, 0, 9), Edit::Override(1, 0, 7)];
    world.change(&edits, true, End::Commit).await;
    assert_eq!(asks(&world, [5, 9]).await, 0);
}

#[tokio::test]
async fn a_question_whose_user_changes_while_it_is_read_is_read_again() {
    let mut world = World::new(3).await;
    let edits = [Edit::Create(1), Edit::Subscribe(1, 0), Edit::Create(2)];
    world.change(&edits, false, End::Commit).await;
    world.ask(1).await;
    world.ask(2).await;
    let ids = [1, 2].map(|n| user_id(&name(n)));
    let mut readers = Vec::new();
    for id in &ids {
        let mut reader = world.store.read_facts().await.unwrap();
        reader.facts(world.environment, std::slice::from_ref(id)).await.unwrap();
        readers.push(reader);
    }
    world.change(&[Edit::Cancel(1, 0)], false, End::Commit).await;
    let mut ended = Vec::new();
    for (mut reader, n) in readers.into_iter().zip([1, 2]) {
        ended.push(reader.ended_subscriptions(world.environment, &[user_key(n)]).await);
    }
    assert!(matches!(ended[0], Err(StoreError::Conflict(_))));
    assert_eq!(ended[1].as_ref().unwrap(), &[vec![]]);
}

#[tokio::test]
async fn what_was_read_of_a_snapshot_from_before_a_commit_is_not_kept() {
    let mut world = World::new(3).await;
    let edits = [Edit::Create(1), Edit::Subscribe(1, 0), Edit::Set(1, 0, 0, 1)];
    world.change(&edits, false, End::Commit).await;
    let mut reader = world.store.read_facts().await.unwrap();
    reader.ended_subscriptions(world.environment, &[user_key(1)]).await.unwrap();
    world.change(&[Edit::Subscribe(1, 1), Edit::Set(1, 0, 0, 2)], false, End::Commit).await;
    let facts = reader.facts(world.environment, &[user_id(&name(1))]).await.unwrap();
    assert_eq!(facts.users[0].as_ref().unwrap().subscriptions().len(), 1);
    let used = reader.counters(world.environment, &[(user_key(1), counter_of(1, 0, 0))]).await;
    assert_eq!(used.unwrap(), [Some(value(1))]);
    world.ask(1).await;
    world.ask(1).await;
}

/// A commit is visible to new snapshots a moment before it is counted.
#[tokio::test]
async fn a_commit_that_some_have_seen_is_not_missed_before_it_is_counted() {
    let mut world = World::new(3).await;
    let edits = [Edit::Create(1), Edit::Subscribe(1, 0), Edit::Create(2), Edit::Publish];
    world.change(&edits, false, End::Commit).await;
    for user in [1, 2] {
        world.ask(user).await;
    }
    // A snapshot that is kept.
    drop(world.store.read().await.unwrap());
    let cache = world.store.pool.facts_cache().unwrap();
    let mut changes = FactsChanges::default();
    changes.note_id(world.environment, user_key(1), &user_id(&name(1)));
    let subscription = SubscriptionId(Uuid::from_u128(subscription_of(1, 0)));
    let cancel = Change::CancelSubscription { subscription, ended_at: NOW };
    changes.note(world.environment, user_key(1), &cancel);
    let commit = cache.begin(changes);
    let database = raw(world.directory.path());
    database.execute("UPDATE subscriptions SET status = 'CANCELLED', ended_at = 0", ()).unwrap();
    for _ in 0..2 {
        let mut reader = world.store.read_facts().await.unwrap();
        let facts = reader.facts(world.environment, &[user_id(&name(1))]).await.unwrap();
        assert_eq!(seen(facts.users[0].as_ref()), Some((user_key(1), vec![])));
        drop(world.store.read().await.unwrap());
    }
    world.store.pool.note_commit();
    cache.make(&commit);

    let mut changes = FactsChanges::default();
    changes.note_catalog(world.environment, CatalogVersion(2));
    let commit = cache.begin(changes);
    database
        .execute("UPDATE environments SET catalog_version = 2 WHERE kind = 'test'", ())
        .unwrap();
    for user in [1, 2] {
        let mut reader = world.store.read_facts().await.unwrap();
        let facts = reader.facts(world.environment, &[user_id(&name(user))]).await.unwrap();
        assert_eq!(facts.catalog_version, CatalogVersion(2));
    }
    world.store.pool.note_commit();
    cache.make(&commit);
}

#[tokio::test]
async fn a_store_without_the_cache_reads_every_question() {
    let (shared, environment, directory) = store_with_app().await;
    change(&shared, environment, user_key(1), [create_user(1)]).await;
    drop(shared);
    let store = SqliteStore::open_for_server(directory.path())
        .unwrap()
        .with_facts_cache(FactsCacheLimits::mib(0));
    for _ in 0..2 {
        let before = store.statements_run();
        let mut reader = store.read_facts().await.unwrap();
        reader.facts(environment, &[user_id("1")]).await.unwrap();
        assert!(store.statements_run() > before);
    }
}
