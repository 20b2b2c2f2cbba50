//! Usage per day is what the log of usage adds up to.

use std::collections::{BTreeMap, HashMap};

use kana_core::day::Day;
use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use kana_service::jobs::housekeeping;
use kana_service::{DailyUsage, Environment, FeatureUsage};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::engine::{Engine, Logged, Postgres, Sqlite};
use crate::world::{BEGINNING, FEATURES, USERS, World, feature_id, key, time, usage, user_id};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many days before the story usage may have occurred in: more than nothing counts then.
const DAYS_BEFORE: i64 = 2;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Usage is recorded, all of it together.
    Record(Vec<Recorded>),
    /// A feature is used if that is allowed.
    Use { user: usize, feature: usize, delta: i64, key: Option<u8> },
    /// Deltas are folded.
    Fold(usize),
    /// Hours pass.
    Pass(i64),
    /// The server ends, and starts again.
    Restart,
    /// The server is killed, and starts again.
    Crash,
}

#[derive(Debug, Clone)]
struct Recorded {
    user: usize,
    feature: usize,
    action: UsageAction,
    delta: i64,
    /// So many hours ago, if it is said when.
    hours_ago: Option<i64>,
    key: Option<u8>,
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let action = prop_oneof![4 => Just(UsageAction::Add), 1 => Just(UsageAction::Set)];
    let delta = prop_oneof![8 => -4..8_i64, 1 => Just(i64::from(i32::MAX))];
    let hours_ago = prop::option::of(0..96_i64);
    let key = prop::option::weighted(0.3, 0..4_u8);
    (0..USERS.len(), 0..FEATURES.len(), action, delta, hours_ago, key).prop_map(
        |(user, feature, action, delta, hours_ago, key)| Recorded {
            user,
            feature,
            action,
            delta,
            hours_ago,
            key,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let using = (0..USERS.len(), 0..FEATURES.len(), 0..4_i64, prop::option::weighted(0.3, 0..4_u8));
    prop_oneof![
        6 => prop::collection::vec(recorded(), 1..6).prop_map(Step::Record),
        3 => using.prop_map(|(user, feature, delta, key)| Step::Use { user, feature, delta, key }),
        2 => (1..6_usize).prop_map(Step::Fold),
        2 => (1..30_i64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

async fn take<E: Engine>(world: World<E>, step: &Step) -> World<E> {
    // The log tells by the time what came after what.
    world.pass(1);
    match step {
        Step::Record(all) => {
            let now = world.now();
            let usages = all.iter().map(|it| RecordUsage {
                action: it.action,
                occurred_at: it.hours_ago.map(|hours| now.saturating_add_ms(-hours * DAY_MS / 24)),
                idempotency_key: it.key.map(|n| key(&format!("key {n}"))),
                ..usage(USERS[it.user], FEATURES[it.feature], it.delta)
            });
            // Those with a key that had another content, and those that set less than 0, are refused.
            world.test().await.record_usage_batch(usages.collect()).await;
        }
        Step::Use { user, feature, delta, key: n } => {
            let using = UseFeature {
                user: user_id(USERS[*user]),
                feature: feature_id(FEATURES[*feature]),
                delta: *delta,
                idempotency_key: n.map(|n| key(&format!("key {n}"))),
            };
            let _ = world.test().await.use_feature(using).await;
        }
        Step::Fold(at_most) => world.fold(*at_most).await,
        Step::Pass(hours) => world.pass(hours * DAY_MS / 24),
        Step::Restart => return world.restart().await,
        Step::Crash => return world.crash().await,
    }
    world
}

/// Events, amount, and events that nothing counted.
type Totals = (i64, i64, i64);

/// What the log adds up to, by the rules of the contract and not by those of Kana: usage of `daily` is
/// counted for each day by itself, and never falls below 0.
fn rebuilt(log: &[Logged]) -> BTreeMap<(Day, String), Totals> {
    let mut counters: HashMap<(&str, &str, i64), i64> = HashMap::new();
    let mut totals: BTreeMap<(Day, String), Totals> = BTreeMap::new();
    for it in log {
        let day = it.occurred_at.div_euclid(DAY_MS);
        let (events, amount, uncounted) =
            totals.entry((Day::from_number(day), it.feature.clone())).or_default();
        *events += 1;
        if !it.is_counted {
            *uncounted += 1;
        }
        let period = match it.feature.as_str() {
            "daily" => day,
            "total" => 0,
            _ => continue,
        };
        if it.is_counted {
            let used = counters.entry((&it.user, &it.feature, period)).or_default();
            let after = if it.is_set { it.delta } else { (*used + it.delta).max(0) };
            *amount += after - *used;
            *used = after;
        }
    }
    totals
}

/// Checks every answer against the log.
async fn check<E: Engine>(world: &World<E>) {
    let expected = rebuilt(&E::log(&world.database));
    let test = world.test().await;
    let (from, to) = (Day::of(time(BEGINNING)).saturating_add(-9), test.today().saturating_add(9));
    for feature in FEATURES {
        let answered = test.usage_by_day(Some(&feature_id(feature)), from, to).await.unwrap();
        let of_feature = expected.iter().filter(|((_, other), _)| other == feature);
        let of_feature: Vec<DailyUsage> = of_feature
            .map(|((day, _), (events, amount, uncounted))| DailyUsage {
                day: *day,
                events: *events,
                amount: Some(*amount),
                uncounted: *uncounted,
            })
            .collect();
        assert_eq!(answered, of_feature, "{feature}");
    }
    let mut by_day: BTreeMap<Day, (i64, i64)> = BTreeMap::new();
    let mut by_feature: BTreeMap<&str, Totals> = BTreeMap::new();
    for ((day, feature), (events, amount, uncounted)) in &expected {
        let of_day = by_day.entry(*day).or_default();
        *of_day = (of_day.0 + events, of_day.1 + uncounted);
        let all = by_feature.entry(feature).or_default();
        *all = (all.0 + events, all.1 + amount, all.2 + uncounted);
    }
    let all = test.usage_by_day(None, from, to).await.unwrap();
    let all: Vec<_> =
        all.iter().map(|usage| (usage.day, (usage.events, usage.uncounted))).collect();
    assert_eq!(all, by_day.into_iter().collect::<Vec<_>>());
    assert_eq!(top(&test).await, ranked(by_feature));
}

async fn top(test: &Environment) -> Vec<FeatureUsage> {
    test.top_features(60, FEATURES.len()).await.unwrap()
}

fn ranked(by_feature: BTreeMap<&str, Totals>) -> Vec<FeatureUsage> {
    let mut ranked: Vec<FeatureUsage> = by_feature
        .into_iter()
        .map(|(feature, (events, amount, uncounted))| FeatureUsage {
            feature: feature_id(feature),
            events,
            amount,
            uncounted,
        })
        .collect();
    ranked.sort_by_key(|usage| std::cmp::Reverse(usage.events));
    ranked
}

/// Takes random steps, and checks every answer after each of the last ones.
fn usage_by_day_is_what_the_log_adds_up_to<E: Engine>(cases: u32) {
    if !E::is_here() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let steps = prop::collection::vec(step(), 10..40);
    let told = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(async {
            let mut world = World::<E>::new().await;
            for (n, step) in steps.iter().enumerate() {
                world = take(world, step).await;
                if n % 4 == 0 {
                    check(&world).await;
                }
            }
            check(&world).await;
            world.fold(1000).await;
            check(&world).await;
        });
        Ok(())
    });
    told.unwrap();
}

#[test]
fn usage_by_day_is_what_the_log_adds_up_to_on_sqlite() {
    usage_by_day_is_what_the_log_adds_up_to::<Sqlite>(16);
}

#[test]
fn usage_by_day_is_what_the_log_adds_up_to_on_postgres() {
    usage_by_day_is_what_the_log_adds_up_to::<Postgres>(8);
}

async fn usage_from_before_the_subscription_is_not_counted<E: Engine>() {
    if !E::is_here() {
        return;
    }
    let world = World::<E>::new().await;
    let test = world.test().await;
    let before = world.now().saturating_add_ms(-DAYS_BEFORE * DAY_MS);
    let late = RecordUsage { occurred_at: Some(before), ..usage("ada", "total", 3) };
    test.record_usage(late).await.unwrap();
    let day = Day::of(before);
    let expected = DailyUsage { day, events: 1, amount: Some(0), uncounted: 1 };
    let total = feature_id("total");
    assert_eq!(test.usage_by_day(Some(&total), day, day).await.unwrap(), [expected]);
}

#[tokio::test]
async fn usage_from_before_the_subscription_is_not_counted_on_either_engine() {
    usage_from_before_the_subscription_is_not_counted::<Sqlite>().await;
    usage_from_before_the_subscription_is_not_counted::<Postgres>().await;
}

async fn the_usage_of_a_day_is_kept_for_three_years<E: Engine>() {
    if !E::is_here() {
        return;
    }
    let world = World::<E>::new().await;
    world.test().await.record_usage(usage("ada", "total", 3)).await.unwrap();
    // The embedded engine folds when it starts, PostgreSQL by the job.
    let world = world.restart().await;
    let day = world.test().await.today();
    for (days, is_there) in [(0, true), (1098, true), (1, false)] {
        world.pass(days * DAY_MS);
        housekeeping(&world.kana).run_now().await.unwrap();
        let usage = world.test().await.usage_by_day(None, day, day).await.unwrap();
        assert_eq!(!usage.is_empty(), is_there, "{days}");
    }
}

#[tokio::test]
async fn the_usage_of_a_day_is_kept_for_three_years_on_either_engine() {
    the_usage_of_a_day_is_kept_for_three_years::<Sqlite>().await;
    the_usage_of_a_day_is_kept_for_three_years::<Postgres>().await;
}

#[tokio::test]
async fn at_most_a_year_is_read_at_once() {
    let world = World::<Sqlite>::new().await;
    let test = world.test().await;
    let today = test.today();
    test.usage_by_day(None, today.saturating_add(-365), today).await.unwrap();
    let refused = test.usage_by_day(None, today.saturating_add(-366), today).await.unwrap_err();
    assert_eq!(refused.to_string(), "days must be at most 366 at once");
    test.top_features(366, 5).await.unwrap();
    assert!(test.top_features(367, 5).await.is_err());
    assert_eq!(test.top_features(0, 5).await.unwrap(), []);
    assert_eq!(test.usage_since().await.unwrap(), None);
}
