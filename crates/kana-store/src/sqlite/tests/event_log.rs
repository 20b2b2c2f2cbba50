//! The log of usage events in blocks, against a list.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::transfer::{self, Scope};
use crate::usage_events::EventCursor;

/// An event of a user in an environment, as the log has it.
type Logged = (EnvironmentId, u128, UsageEvent);

#[derive(Debug, Clone)]
enum Step {
    /// A transaction that logs events in one environment: users, and whether there is metadata. It looks
    /// at them, and is committed or rolled back. The clock goes on, or back.
    Commit {
        live: bool,
        events: Vec<(u128, bool)>,
        clock: i64,
        commit: bool,
    },
    /// A commit of so many events, some with texts that fill a block.
    Bulk {
        events: usize,
        large: bool,
    },
    /// Pages through the events of a user.
    List {
        live: bool,
        user: u128,
        limit: usize,
        patient: bool,
    },
    ForgetBefore {
        ago: i64,
        at_most: usize,
    },
    /// Of all, or of a part of the log.
    ForgetMetadata {
        live: bool,
        user: u128,
        part: Option<(usize, usize)>,
    },
    Restart {
        server: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let user = || 0..4_u128;
    let events = prop::collection::vec((user(), any::<bool>()), 1..7);
    prop_oneof![
        8 => (any::<bool>(), events, -2..9_i64, prop::bool::weighted(0.9))
            .prop_map(|(live, events, clock, commit)| Step::Commit { live, events, clock, commit }),
        1 => (400..1100_usize, any::<bool>())
            .prop_map(|(events, large)| Step::Bulk { events, large }),
        4 => (any::<bool>(), user(), 1..9_usize, any::<bool>())
            .prop_map(|(live, user, limit, patient)| Step::List { live, user, limit, patient }),
        2 => (0..30_i64, 1..40_usize)
            .prop_map(|(ago, at_most)| Step::ForgetBefore { ago, at_most }),
        2 => (any::<bool>(), user(), prop::option::of((0..20_usize, 0..20_usize)))
            .prop_map(|(live, user, part)| Step::ForgetMetadata { live, user, part }),
        1 => any::<bool>().prop_map(|server| Step::Restart { server }),
    ]
}

fn event(number: i64, clock: i64, metadata: Option<&str>) -> UsageEvent {
    let key = format!("key-{number}");
    let metadata = metadata.map(|text| serde_json::json!({ "n": number, "text": text }));
    UsageEvent {
        feature: FeatureId::new("featureId", ["calls", "seats"][(number % 2) as usize]).unwrap(),
        action: if number % 5 == 0 { LoggedAction::Set } else { LoggedAction::Add },
        delta: number,
        occurred_at: Timestamp::from_ms(clock - number % 3),
        recorded_at: Timestamp::from_ms(clock),
        amount: 0,
        drawn: None,
        subscription: (number % 4 != 0)
            .then(|| SubscriptionId(Uuid::from_u128(number as u128 % 3))),
        idempotency_key: (number % 3 != 0)
            .then(|| IdempotencyKey::new("idempotencyKey", &key).unwrap()),
        metadata: metadata.map(|value| Metadata::new("metadata", value).unwrap()),
    }
}

struct World {
    directory: TempDir,
    store: Option<SqliteStore>,
    /// Test and live.
    environments: [EnvironmentId; 2],
    log: Vec<Logged>,
    clock: i64,
    /// The number of the next event.
    number: i64,
}

impl World {
    async fn new() -> Self {
        let (store, test, directory) = store_with_app().await;
        let live = store.find_key(hash(EnvironmentKind::Live)).await.unwrap().unwrap().environment;
        let environments = [test, live];
        Self { directory, store: Some(store), environments, log: vec![], clock: 1000, number: 1 }
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().unwrap()
    }

    fn event(&mut self, metadata: Option<&str>) -> UsageEvent {
        self.number += 1;
        event(self.number, self.clock, metadata)
    }

    /// The events of a user, newest first.
    fn expected(&self, environment: EnvironmentId, user: u128) -> Vec<UsageEvent> {
        let of_user = |(of, by, _): &&Logged| (*of, *by) == (environment, user);
        self.log.iter().rev().filter(of_user).map(|(_, _, event)| event.clone()).collect()
    }

    async fn commit(&mut self, live: bool, events: Vec<(u128, UsageEvent)>, commit: bool) {
        let environment = self.environments[usize::from(live)];
        let before = self.log.len();
        let changes: Vec<_> = events
            .iter()
            .map(|(user, event)| (user_key(*user), Change::LogEvent(event.clone())))
            .collect();
        self.log.extend(events.into_iter().map(|(user, event)| (environment, user, event)));
        let mut writer = self.store().write().await.unwrap();
        let (first, rest) = changes.split_at(changes.len() / 2);
        writer.change_facts(environment, first).await.unwrap();
        if self.number % 2 == 0 {
            // What it has logged itself is there.
            writer.events_of(environment, user_key(0), None, 1, Duration::ZERO).await.unwrap();
        }
        writer.change_facts(environment, rest).await.unwrap();
        let read =
            writer.events_of(environment, user_key(0), None, 9, Duration::MAX).await.unwrap();
        let expected = self.expected(environment, 0);
        assert_eq!(read.events[..], expected[..expected.len().min(9)]);
        if commit {
            writer.commit().await.unwrap();
        } else {
            self.log.truncate(before);
        }
    }

    /// All events of a user, in pages of `limit`.
    async fn walked(
        &self,
        (environment, user): (EnvironmentId, u128),
        limit: usize,
        patience: Duration,
    ) -> Vec<UsageEvent> {
        let (mut events, mut after) = (Vec::new(), None);
        loop {
            let mut reader = self.store().read().await.unwrap();
            let page = reader.events_of(environment, user_key(user), after, limit, patience).await;
            let page = page.unwrap();
            assert!(page.events.len() <= limit);
            assert_eq!(page.next.is_none(), page.looked_back_to.is_none());
            events.extend(page.events);
            let Some(next) = page.next else { return events };
            assert!(after.is_none_or(|after: EventCursor| next.at < after.at), "it goes on");
            after = Some(next);
        }
    }

    async fn forget_before(&mut self, before: i64, at_most: usize) {
        let mut place = 0;
        let is_old = |event: &UsageEvent| event.recorded_at.as_ms() < before;
        let count = self.log.len();
        self.log.retain(|(_, _, event)| {
            place += 1;
            place > at_most || !is_old(event)
        });
        let forgot = self.store().forget_events(Timestamp::from_ms(before), at_most).await.unwrap();
        assert_eq!(forgot, self.log.len() < count);
    }

    async fn forget_metadata(&mut self, live: bool, user: u128, part: Option<(usize, usize)>) {
        let environment = self.environments[usize::from(live)];
        let mut bounds = (None, None);
        if let Some((skipped, limit)) = part {
            // The part that a walk has looked at, which is between two of its pages.
            let mut reader = self.store().read().await.unwrap();
            for limit in [skipped + 1, limit + 1] {
                let after = bounds.0.or(bounds.1);
                let page =
                    reader.events_of(environment, user_key(user), after, limit, Duration::MAX);
                let next = page.await.unwrap().next;
                bounds = (next, after);
            }
        }
        let mut writer = self.store().write().await.unwrap();
        let (from, to) = bounds;
        writer.forget_event_metadata(environment, user_key(user), from, to).await.unwrap();
        writer.commit().await.unwrap();
        // At least what was asked for is gone, and nothing of anybody else.
        let left = self.walked((environment, user), 100, Duration::MAX).await;
        let mut left = left.into_iter();
        let (mut place, skipped) = (0, part.map_or(0, |(skipped, _)| skipped + 1));
        let count = part.map_or(usize::MAX, |(_, limit)| limit + 1);
        for (of, by, event) in self.log.iter_mut().rev() {
            if (*of, *by) == (environment, user) {
                let left = left.next().unwrap();
                if (skipped..skipped.saturating_add(count)).contains(&place) {
                    assert_eq!(left.metadata, None);
                }
                if left.metadata.is_none() {
                    event.metadata = None;
                }
                place += 1;
            }
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Commit { live, events, clock, commit } => {
                self.clock += clock;
                let events: Vec<_> = events
                    .into_iter()
                    .map(|(user, told)| (user, self.event(told.then_some("x"))))
                    .collect();
                self.commit(live, events, commit).await;
            }
            Step::Bulk { events, large } => {
                let text = "x".repeat(if large { 900 } else { 3 });
                let events = (0..events)
                    .map(|n| (n as u128 % 7, self.event((n % 3 == 0).then_some(&text))))
                    .collect();
                self.commit(false, events, true).await;
            }
            Step::List { live, user, limit, patient } => {
                let of = (self.environments[usize::from(live)], user);
                let patience = if patient { Duration::MAX } else { Duration::ZERO };
                let walked = self.walked(of, limit, patience).await;
                assert_eq!(walked, self.expected(of.0, of.1));
            }
            Step::ForgetBefore { ago, at_most } => {
                self.forget_before(self.clock - ago, at_most).await;
            }
            Step::ForgetMetadata { live, user, part } => {
                self.forget_metadata(live, user, part).await;
            }
            Step::Restart { server } => {
                self.store = None;
                let directory = self.directory.path();
                self.store = Some(if server {
                    SqliteStore::open_for_server(directory).unwrap()
                } else {
                    SqliteStore::open(directory).unwrap()
                });
            }
        }
    }

    /// Compares the whole log with the view, by which SQL reads it.
    fn check_view(&self) {
        let connection = raw(self.directory.path());
        let mut rows = connection
            .prepare(
                "SELECT id, environment_id, user_key, feature_id, action, delta, occurred_at,
                     recorded_at, subscription_id, idempotency_key, metadata
                 FROM events ORDER BY id",
            )
            .unwrap();
        let mut last = 0;
        let rows = rows.query_map([], |row| {
            let id: i64 = row.get(0)?;
            assert!(id > last);
            last = id;
            let user: Uuid = row.get(2)?;
            let key: Option<String> = row.get(9)?;
            let metadata: Option<String> = row.get(10)?;
            let event = UsageEvent {
                feature: FeatureId::new("", &row.get::<_, String>(3)?).unwrap(),
                action: match row.get::<_, String>(4)?.as_str() {
                    "SET" => LoggedAction::Set,
                    _ => LoggedAction::Add,
                },
                delta: row.get(5)?,
                occurred_at: Timestamp::from_ms(row.get(6)?),
                recorded_at: Timestamp::from_ms(row.get(7)?),
                amount: 0,
                drawn: None,
                subscription: row.get::<_, Option<Uuid>>(8)?.map(SubscriptionId),
                idempotency_key: key.map(|key| IdempotencyKey::new("", &key).unwrap()),
                metadata: metadata.map(|text| Metadata::parse("", &text).unwrap()),
            };
            Ok((EnvironmentId(row.get(1)?), user.as_u128(), event))
        });
        let rows: Vec<Logged> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows, self.log);
    }

    /// Exports everything, imports it elsewhere, and finds the same log there.
    async fn check_transfer(&mut self) {
        let scope =
            Scope { environments: EnvironmentKind::ALL.to_vec(), token_secrets: false, user: None };
        let mut file = Vec::new();
        let at = Timestamp::from_ms(0);
        transfer::export(self.store(), &scope, &mut file, at, &mut |_| {}).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let read = std::io::Cursor::new(file);
        transfer::import(&store, read, None, &mut |_| {}).await.unwrap();
        (self.store, self.directory) = (Some(store), directory);
        self.check_view();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_what_was_recorded_and_not_forgotten(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
            }
            world.check_view();
            world.check_transfer().await;
        });
    }
}

/// The blocks of the log: the id, and how many events.
fn blocks(directory: &Path) -> Vec<(i64, i64)> {
    let connection = raw(directory);
    let mut blocks = connection.prepare("SELECT id, events FROM event_blocks ORDER BY id").unwrap();
    let blocks = blocks.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    blocks.unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn the_events_of_a_commit_are_one_block_of_each_environment_until_it_is_full() {
    let mut world = World::new().await;
    let [test, live] = world.environments;
    let mut writer = world.store().write().await.unwrap();
    for number in 0..4 {
        for environment in [test, live] {
            let log = Change::LogEvent(event(number, 5, None));
            writer.change_facts(environment, &[(user_key(1), log)]).await.unwrap();
        }
    }
    writer.commit().await.unwrap();
    assert_eq!(blocks(world.directory.path()), [(1, 4), (5, 4)]);
    let events = (0..1200).map(|_| (1, world.event(None))).collect();
    world.commit(false, events, true).await;
    let expected = [(1, 4), (5, 4), (9, 512), (521, 512), (1033, 176)];
    // One more, since a transaction that reads its events back writes them.
    let blocks = blocks(world.directory.path());
    assert_eq!(blocks[..4], expected[..4]);
    assert_eq!(blocks.last().map(|(id, events)| id + events), Some(1209));
}

#[tokio::test]
async fn nothing_of_the_metadata_of_a_deleted_user_stays_in_the_file() {
    let mut world = World::new().await;
    for users in [[1, 2], [2, 1]] {
        let events = users
            .map(|user| (user, world.event(Some(&format!("secret of {user}").repeat(40)))))
            .to_vec();
        world.commit(false, events, true).await;
    }
    world.forget_metadata(false, 1, None).await;
    world.check_view();
    world.store = None;
    let raw = raw(world.directory.path());
    raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = fs::read(world.directory.path().join("kana.db")).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|found| found == text.as_bytes());
    assert!(has("secret of 2") && !has("secret of 1"));
}

#[tokio::test]
async fn a_damaged_block_is_an_error_that_names_it_and_a_finding() {
    let mut world = World::new().await;
    for _ in 0..3 {
        let events = (0..2).map(|_| (1, world.event(None))).collect();
        world.commit(false, events, true).await;
    }
    let raw = raw(world.directory.path());
    raw.execute("UPDATE event_blocks SET data = x'07' WHERE id = 3", []).unwrap();
    let test = world.environments[0];
    let mut reader = world.store().read().await.unwrap();
    let newest = reader.events_of(test, user_key(1), None, 2, Duration::MAX).await.unwrap();
    assert_eq!(newest.events.len(), 2);
    let all = reader.events_of(test, user_key(1), None, 9, Duration::MAX).await.unwrap_err();
    assert!(matches!(all, StoreError::Unreadable(_)), "{all:?}");
    let said = "usage events from 3 on: this release does not know its form";
    assert!(all.to_string().contains(said), "{all}");
    drop(reader);
    let scope =
        Scope { environments: vec![EnvironmentKind::Test], token_secrets: false, user: None };
    let export = transfer::export(world.store(), &scope, Vec::new(), NOW, &mut |_| {}).await;
    assert!(export.unwrap_err().to_string().contains(said));
    let mut found = Vec::new();
    world.store().check(NOW, &mut |finding| found.push(finding)).await.unwrap();
    let cannot: Vec<_> = found.iter().filter(|finding| finding.found.contains(said)).collect();
    assert!(!cannot.is_empty(), "{found:?}");
    assert!(cannot.iter().all(|finding| finding.found.starts_with("cannot be read: ")));
}
