//! Usage per day and feature.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all};
use kana_core::Timestamp;
use kana_core::credits::Drawn;
use kana_core::day::Day;
use kana_core::facts::Change;
use kana_core::usage::UsageEvent;
use kana_store::usage_statistics::{DailyUsage, FeatureUsage};
use kana_store::{EnvironmentId, Store};

use crate::Engine;
use crate::world::{
    World, count, counter, create_user, event, feature_id, subscription_id, time, user_key,
};

/// Usage of a feature at an instant, which changed a counter by `amount`.
fn usage(feature: &str, at: &str, amount: i64) -> Change {
    let occurred_at = time(at);
    Change::LogEvent(UsageEvent { occurred_at, amount, ..event(subscription_id(1), feature) })
}

/// The same, counted by nothing.
fn uncounted(feature: &str, at: &str) -> Change {
    let Change::LogEvent(event) = usage(feature, at, 0) else { unreachable!() };
    Change::LogEvent(UsageEvent { subscription: None, ..event })
}

fn day(date: &str) -> Day {
    Day::of(time(&format!("{date}T00:00:00Z")))
}

fn on(date: &str, events: i64, amount: i64, uncounted: i64) -> DailyUsage {
    DailyUsage { day: day(date), events, amount: Some(amount), uncounted }
}

/// The usage of a feature from the first day of 2024 to the end of the next month.
async fn of_feature(
    store: &dyn Store,
    environment: EnvironmentId,
    feature: &str,
) -> Vec<DailyUsage> {
    let (from, to) = (day("2024-01-01"), day("2024-02-29"));
    store.usage_by_day(environment, Some(&feature_id(feature)), from, to).await.unwrap()
}

/// Folds everything there is to fold.
async fn fold(store: &dyn Store, environment: EnvironmentId) {
    while store.fold_usage(environment, 7).await.unwrap() > 0 {}
}

pub(crate) async fn what_draws_on_a_balance_is_in_the_day_of_both<E: Engine>() {
    let world = World::<E>::new().await;
    let drawing = |at, amount, cost: i64| {
        let Change::LogEvent(event) = usage("images", at, amount) else { unreachable!() };
        let drawn = Some(Drawn { balance: feature_id("credits"), amount: amount * cost });
        Change::LogEvent(UsageEvent { drawn, ..event })
    };
    let first = [
        create_user(user_key(1), "124"),
        drawing("2024-01-05T00:00:00.000Z", 3, 5),
        drawing("2024-01-05T12:00:00.000Z", 2, 7),
        drawing("2024-01-06T12:00:00.000Z", 0, 7),
        usage("credits", "2024-01-05T23:59:59.999Z", 4),
        count(counter(subscription_id(1), "credits"), 33),
    ];
    world.change(world.test, user_key(1), first).await;
    for _ in 0..2 {
        let images = [on("2024-01-05", 2, 5, 0), on("2024-01-06", 1, 0, 0)];
        assert_eq!(of_feature(&*world.store, world.test, "images").await, images);
        let credits = [on("2024-01-05", 1, 33, 0)];
        assert_eq!(of_feature(&*world.store, world.test, "credits").await, credits);
        fold(&*world.store, world.test).await;
    }
}

pub(crate) async fn usage_is_in_the_day_in_which_it_occurred<E: Engine>() {
    let world = World::<E>::new().await;
    let (test, live, store) = (world.test, world.live, &*world.store);
    let first = [
        create_user(user_key(1), "124"),
        usage("calls", "2024-01-05T00:00:00.000Z", 3),
        usage("calls", "2024-01-05T23:59:59.999Z", -1),
        usage("calls", "2024-01-06T00:00:00.000Z", 4),
        uncounted("calls", "2024-01-06T12:00:00.000Z"),
        usage("messages", "2024-01-06T12:00:00.000Z", 10),
        uncounted("messages", "2024-01-08T12:00:00.000Z"),
        count(counter(subscription_id(1), "calls"), 6),
    ];
    world.change(test, user_key(1), first).await;
    world.change(test, user_key(1), [usage("calls", "2024-01-05T08:00:00Z", 5)]).await;
    world.change(live, user_key(1), [usage("calls", "2024-01-06T08:00:00Z", 9)]).await;

    for _ in 0..2 {
        let calls = [on("2024-01-05", 3, 7, 0), on("2024-01-06", 2, 4, 1)];
        assert_eq!(of_feature(store, test, "calls").await, calls);
        let messages = [on("2024-01-06", 1, 10, 0), on("2024-01-08", 1, 0, 1)];
        assert_eq!(of_feature(store, test, "messages").await, messages);
        assert_eq!(of_feature(store, test, "nothing").await, []);
        assert_eq!(of_feature(store, live, "calls").await, [on("2024-01-06", 1, 9, 0)]);

        // Of all features, whose amounts do not add up.
        let all =
            |date, events, uncounted| DailyUsage { amount: None, ..on(date, events, 0, uncounted) };
        let days = [all("2024-01-05", 3, 0), all("2024-01-06", 3, 1), all("2024-01-08", 1, 1)];
        for (from, to, expected) in [
            ("2024-01-01", "2024-01-31", &days[..]),
            ("2024-01-06", "2024-01-08", &days[1..]),
            ("2024-01-06", "2024-01-06", &days[1..2]),
            ("2024-01-07", "2024-01-07", &[]),
            ("2024-01-08", "2024-01-05", &[]),
        ] {
            let (from, to) = (day(from), day(to));
            assert_eq!(store.usage_by_day(test, None, from, to).await.unwrap(), expected);
            let calls = feature_id("calls");
            let calls = store.usage_by_day(test, Some(&calls), from, to).await.unwrap();
            let events: i64 = calls.iter().map(|usage| usage.events).sum();
            let on_day = of_feature(store, test, "calls").await.into_iter();
            let inside = on_day.filter(|usage| (from..=to).contains(&usage.day));
            assert_eq!(events, inside.map(|usage| usage.events).sum::<i64>());
        }
        fold(store, test).await;
    }
}

pub(crate) async fn usage_that_is_not_committed_is_in_no_day<E: Engine>() {
    let world = World::<E>::new().await;
    let lost = [(user_key(1), usage("calls", "2024-01-05T00:00:00Z", 3))];
    let kept = usage("calls", "2024-01-06T00:00:00Z", 4);
    for _ in 0..2 {
        let mut writer = world.store.write().await.unwrap();
        writer.change_facts(world.test, &lost).await.unwrap();
        drop(writer);
        assert_eq!(of_feature(&*world.store, world.test, "calls").await, []);
    }
    world.change(world.test, user_key(1), [kept]).await;
    let expected = [on("2024-01-06", 1, 4, 0)];
    assert_eq!(of_feature(&*world.store, world.test, "calls").await, expected);
}

pub(crate) async fn the_features_with_the_most_events_come_first<E: Engine>() {
    let world = World::<E>::new().await;
    let (test, store) = (world.test, &*world.store);
    let days = ["2024-01-05T00:00:00Z", "2024-01-06T00:00:00Z", "2024-01-07T00:00:00Z"];
    let changes = [
        usage("b", days[0], 1),
        usage("b", days[1], 2),
        usage("a", days[1], -5),
        uncounted("a", days[1]),
        usage("c", days[1], 1),
        usage("c", days[1], 1),
        usage("c", days[2], 1),
        usage("d", days[2], 100),
    ];
    world.change(test, user_key(1), changes).await;
    world.change(world.live, user_key(1), [usage("e", days[1], 1)]).await;
    let of = |feature, events, amount, uncounted| FeatureUsage {
        feature: feature_id(feature),
        events,
        amount,
        uncounted,
    };
    for _ in 0..2 {
        for (from, to, limit, expected) in [
            (
                0,
                2,
                9,
                vec![of("c", 3, 3, 0), of("a", 2, -5, 1), of("b", 2, 3, 0), of("d", 1, 100, 0)],
            ),
            (0, 2, 2, vec![of("c", 3, 3, 0), of("a", 2, -5, 1)]),
            (1, 1, 9, vec![of("a", 2, -5, 1), of("c", 2, 2, 0), of("b", 1, 2, 0)]),
            (0, 0, 9, vec![of("b", 1, 1, 0)]),
            (2, 1, 9, vec![]),
        ] {
            let (from, to) = (Day::of(time(days[from])), Day::of(time(days[to])));
            assert_eq!(store.top_features(test, from, to, limit).await.unwrap(), expected);
        }
        fold(store, test).await;
    }
}

/// So many commits that the embedded engine folds several times.
const COMMITS: i64 = 700;

pub(crate) async fn usage_is_the_same_however_much_of_it_is_folded<E: Engine>() {
    let mut world = World::<E>::new().await;
    let mut expected: BTreeMap<(&str, Day), DailyUsage> = BTreeMap::new();
    let mut deleted = create_user(user_key(1), "124");
    for n in 0..COMMITS {
        let feature = ["calls", "messages", "seats"][usize::try_from(n % 3).unwrap()];
        let date = format!("2024-01-{:02}", 1 + n % 9);
        let at = format!("{date}T12:00:00Z");
        let is_counted = n % 5 > 0;
        let change = if is_counted { usage(feature, &at, n) } else { uncounted(feature, &at) };
        let total = expected.entry((feature, day(&date))).or_insert_with(|| on(&date, 0, 0, 0));
        total.events += 1;
        total.amount = total.amount.map(|amount| amount + if is_counted { n } else { 0 });
        total.uncounted += i64::from(!is_counted);
        let set = count(counter(subscription_id(1), feature), n);
        let changes = [std::mem::replace(&mut deleted, set), change];
        world.change(world.test, user_key(1), changes).await;
        if n % 211 == 0 {
            world.store.fold_usage(world.test, 40).await.unwrap();
        }
        if n % 53 == 0 {
            check(&world, &expected).await;
        }
        if n == COMMITS / 2 {
            world = world.opened_again().await;
            check(&world, &expected).await;
        }
    }
    check(&world, &expected).await;
    let world = world.opened_again().await;
    check(&world, &expected).await;
    fold(&*world.store, world.test).await;
    check(&world, &expected).await;
}

async fn check<E: Engine>(world: &World<E>, expected: &BTreeMap<(&str, Day), DailyUsage>) {
    for feature in ["calls", "messages", "seats"] {
        let of_feature: Vec<DailyUsage> = of_feature(&*world.store, world.test, feature).await;
        let expected = expected.iter().filter(|((other, _), _)| *other == feature);
        assert!(expected.map(|(_, usage)| usage).eq(&of_feature), "{feature}: {of_feature:?}");
    }
}

pub(crate) async fn of_many_who_record_and_fold_at_once_none_counts_twice<E: Engine>() {
    const WRITERS: u16 = 4;
    const EACH: i64 = 60;
    let world = World::<E>::new().await;
    let (store, test, done) = (&*world.store, world.test, AtomicBool::new(false));
    let write = |n: u16| {
        let world = &world;
        async move {
            for at in 0..EACH {
                let at = format!("2024-01-{:02}T12:00:00Z", 1 + at % 4);
                world.change(test, user_key(n), [usage("calls", &at, 2)]).await;
                tokio::task::yield_now().await;
            }
        }
    };
    let totals = async || {
        let days = of_feature(store, test, "calls").await;
        let events: i64 = days.iter().map(|usage| usage.events).sum();
        assert_eq!(days.iter().filter_map(|usage| usage.amount).sum::<i64>(), 2 * events);
        events
    };
    let fold = async || {
        while !done.load(Ordering::Relaxed) {
            store.fold_usage(test, 5).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let mut before = 0;
        while !done.load(Ordering::Relaxed) {
            let now = totals().await;
            assert!(before <= now, "{before} {now}");
            before = now;
            tokio::task::yield_now().await;
        }
    };
    let writes = async {
        join_all((1..=WRITERS).map(write)).await;
        done.store(true, Ordering::Relaxed);
    };
    join(writes, join(read, join(fold(), fold()))).await;
    assert_eq!(totals().await, i64::from(WRITERS) * EACH);
}

pub(crate) async fn the_usage_of_old_days_is_forgotten_oldest_first<E: Engine>() {
    let world = World::<E>::new().await;
    let (test, live) = (world.test, world.live);
    for environment in [test, live] {
        let dates = ["2024-01-03", "2024-01-01", "2024-01-02"];
        let changes = dates.map(|date| usage("calls", &format!("{date}T12:00:00Z"), 1));
        world.change(environment, user_key(1), changes).await;
        fold(&*world.store, environment).await;
    }
    // The embedded engine folds when it starts.
    let world = world.opened_again().await;
    let store = &*world.store;
    let left = async |environment| -> Vec<String> {
        let days = of_feature(store, environment, "calls").await;
        days.iter().map(|usage| usage.day.to_string()).collect()
    };
    let before = day("2024-01-03");
    assert_eq!(store.forget_usage_by_day(test, before, 1).await.unwrap(), 1);
    assert_eq!(left(test).await, ["2024-01-02", "2024-01-03"]);
    assert_eq!(store.forget_usage_by_day(test, before, 9).await.unwrap(), 1);
    assert_eq!(store.forget_usage_by_day(test, before, 9).await.unwrap(), 0);
    assert_eq!(left(test).await, ["2024-01-03"]);
    assert_eq!(left(live).await, ["2024-01-01", "2024-01-02", "2024-01-03"]);
}

pub(crate) async fn an_amount_that_is_too_large_stays_at_the_largest<E: Engine>() {
    let world = World::<E>::new().await;
    let at = "2024-01-05T12:00:00Z";
    for amount in [i64::MAX, i64::MAX] {
        world.change(world.test, user_key(1), [usage("calls", at, amount)]).await;
    }
    let least = [usage("messages", at, -i64::MAX), usage("messages", at, -i64::MAX)];
    world.change(world.test, user_key(1), least).await;
    for _ in 0..2 {
        for (feature, amount) in [("calls", i64::MAX), ("messages", i64::MIN)] {
            let expected = [on("2024-01-05", 2, amount, 0)];
            assert_eq!(of_feature(&*world.store, world.test, feature).await, expected);
        }
        let day = Day::of(time(at));
        let top = world.store.top_features(world.test, day, day, 9).await.unwrap();
        let amounts: Vec<i64> = top.iter().map(|usage| usage.amount).collect();
        assert_eq!(amounts, [i64::MAX, i64::MIN]);
        fold(&*world.store, world.test).await;
    }
    // And where one is folded and the other is not.
    world.change(world.test, user_key(1), [usage("calls", at, 1)]).await;
    let expected = [on("2024-01-05", 3, i64::MAX, 0)];
    assert_eq!(of_feature(&*world.store, world.test, "calls").await, expected);
}

pub(crate) async fn usage_of_the_first_and_the_last_day_there_is_can_be_read<E: Engine>() {
    let world = World::<E>::new().await;
    let ends = [Timestamp::MIN, Timestamp::MAX].map(|occurred_at| {
        Change::LogEvent(UsageEvent { occurred_at, ..event(subscription_id(1), "calls") })
    });
    world.change(world.test, user_key(1), ends).await;
    for day in [Day::MIN, Day::MAX] {
        let calls = feature_id("calls");
        let usage = world.store.usage_by_day(world.test, Some(&calls), day, day).await.unwrap();
        assert_eq!(usage, [DailyUsage { day, events: 1, amount: Some(1), uncounted: 0 }]);
    }
}

pub(crate) async fn a_new_database_knows_the_usage_of_every_day<E: Engine>() {
    let world = World::<E>::new().await;
    assert_eq!(world.store.usage_since(world.test).await.unwrap(), None);
    world.change(world.test, user_key(1), [usage("calls", "2024-01-05T12:00:00Z", 1)]).await;
    let world = world.opened_again().await;
    assert_eq!(world.store.usage_since(world.test).await.unwrap(), None);
}
