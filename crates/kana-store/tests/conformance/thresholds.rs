//! Thresholds that were reached, usage that was taken back, and what that needs of counters and keys.

use kana_core::counted::{Counted, CountedAt};
use kana_core::counter::{CounterValue, Marks};
use kana_core::entitlement::{Consumption, Extras};
use kana_core::facts::{Change, CounterKey};
use kana_core::id::SubscriptionId;
use kana_core::period::Period;
use kana_core::terms::TermsNumber;
use kana_core::threshold::{Threshold, ThresholdEvent};
use kana_core::usage::{LoggedAction, UsageEvent};
use kana_core::user::User;
use kana_store::EnvironmentId;
use uuid::Uuid;

use crate::Engine;
use crate::world::{
    BEGINNING, World, counter, create_user, event, feature_id, idempotency_key, keep, replay,
    subscription_id, time, user_id, user_key,
};

/// The event of a user with this number as its id.
fn reached_event(n: u16, percent: i64) -> ThresholdEvent {
    let end = (percent != 100).then(|| time("2024-02-01T00:00:00Z"));
    ThresholdEvent {
        id: Uuid::from_u128(u128::from(n) << 64 | u128::from(percent.unsigned_abs())),
        feature: feature_id("calls"),
        threshold: if n == 3 {
            Threshold::Left(2_147_483_647)
        } else {
            Threshold::Percent(percent)
        },
        period: Period { start: time(BEGINNING), end },
        consumption: Consumption {
            used: i64::MAX,
            budget: Some(i64::from(n)),
            overage_enabled: n == 2,
            extras: Extras { carried: percent, granted: i64::from(n) - 1, held: 0 },
        },
        at: time(BEGINNING).saturating_add_ms(percent),
    }
}

/// That a user has reached a threshold.
pub(crate) fn reached(n: u16, percent: i64) -> Change {
    Change::ReachThreshold(reached_event(n, percent))
}

/// An entry of the log that takes usage back.
pub(crate) fn taken_back(subscription: SubscriptionId, feature: &str) -> UsageEvent {
    let idempotency_key = Some(idempotency_key("key"));
    let action = LoggedAction::Void;
    UsageEvent { action, delta: -3, amount: -3, idempotency_key, ..event(subscription, feature) }
}

/// A counter that was SET, has reached thresholds, and drew from grants.
pub(crate) fn marked(counter: CounterKey, used: i64) -> Change {
    Change::SetCounter { counter, value: marked_value(used) }
}

fn marked_value(used: i64) -> CounterValue {
    let fired = [Threshold::Percent(80), Threshold::Left(10)];
    let drawn = "g00000000000000010000000000000000:7 n00000000000000020000000000000000:2147483647";
    let marks = Marks::from_text(drawn).unwrap().after_sets(u32::MAX);
    let marks = marks.after_firing(&fired, &fired);
    CounterValue { used, marks }
}

/// What a key says of the counter of its usage, of every shape.
pub(crate) fn counted(n: u16) -> Option<Counted> {
    let counter = match n {
        1 => return None,
        2 => CountedAt::Digest(u32::MAX),
        _ => CountedAt::Whole(subscription_id(n), TermsNumber(3), time(BEGINNING)),
    };
    let is_all = n == 3;
    let added = is_all.then_some(i64::MIN);
    Some(Counted { counter, added, sets: if is_all { u32::MAX } else { 0 }, voided: is_all })
}

/// The events of everybody, or of a user, after one: user and percent each.
async fn listed<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    user: Option<u16>,
    after: Option<Uuid>,
    limit: usize,
) -> Vec<(String, ThresholdEvent)> {
    let mut reader = world.store.read().await.unwrap();
    let user = user.map(user_key);
    let events = reader.threshold_events(environment, user, after, limit).await.unwrap();
    events.into_iter().map(|(user, event)| (user.to_string(), event)).collect()
}

/// With the users `a`, `b` and `c`, who have reached 80 and 100 percent.
async fn world<E: Engine>() -> World<E> {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "a"), (2, "b"), (3, "c")] {
        for environment in [world.test, world.live] {
            world.change(environment, user_key(n), [create_user(user_key(n), id)]).await;
        }
    }
    // Not in the order of their ids.
    for n in [3, 1, 2] {
        world.change(world.test, user_key(n), [reached(n, 100), reached(n, 80)]).await;
    }
    world
}

pub(crate) async fn threshold_events_are_listed_in_the_order_of_their_ids<E: Engine>() {
    let world = world::<E>().await;
    let all = listed(&world, world.test, None, None, 10).await;
    let expected =
        [("a", 1, 80), ("a", 1, 100), ("b", 2, 80), ("b", 2, 100), ("c", 3, 80), ("c", 3, 100)];
    let expected = expected.map(|(id, n, percent)| (id.to_owned(), reached_event(n, percent)));
    assert_eq!(all, expected);
    assert_eq!(listed(&world, world.test, None, None, 2).await, all[..2]);
    assert_eq!(listed(&world, world.test, None, Some(all[1].1.id), 3).await, all[2..5]);
    assert_eq!(listed(&world, world.test, None, Some(all[5].1.id), 3).await, []);
    assert_eq!(listed(&world, world.test, Some(2), None, 10).await, all[2..4]);
    assert_eq!(listed(&world, world.test, Some(2), None, 1).await, all[2..3]);
    assert_eq!(listed(&world, world.test, Some(2), Some(all[2].1.id), 10).await, all[3..4]);
    assert_eq!(listed(&world, world.live, None, None, 10).await, []);
    assert_eq!(listed(&world, world.live, Some(2), None, 10).await, []);
}

pub(crate) async fn threshold_events_follow_their_user<E: Engine>() {
    let world = world::<E>().await;
    let renamed = User { key: user_key(1), ..User::named(user_id("renamed")) };
    let change = Change::UpdateUser { user: renamed, previous_id: Some(user_id("a")) };
    world.change(world.test, user_key(1), [change]).await;
    let all = listed(&world, world.test, Some(1), None, 10).await;
    assert_eq!(all.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["renamed"; 2]);

    let left = User { key: user_key(2), ..User::named(user_id("deleted-2")) };
    let change = Change::DeleteUser { user: left, previous_id: user_id("b") };
    world.change(world.test, user_key(2), [change]).await;
    let all = listed(&world, world.test, Some(2), None, 10).await;
    assert_eq!(all.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["deleted-2"; 2]);
}

pub(crate) async fn old_threshold_events_are_forgotten_some_at_a_time<E: Engine>() {
    let world = world::<E>().await;
    world.change(world.live, user_key(1), [reached(1, 80)]).await;
    let before = time(BEGINNING).saturating_add_ms(90);
    let mut forgotten = Vec::new();
    for _ in 0..3 {
        let forget = world.store.forget_threshold_events(world.test, before, 3);
        forgotten.push(forget.await.unwrap());
    }
    // Of the oldest three, those of 80 percent; then of what is left.
    assert_eq!(forgotten, [2, 1, 0]);
    let left = listed(&world, world.test, None, None, 10).await;
    assert!(left.iter().all(|(_, event)| event.at >= before) && left.len() == 3);
    assert_eq!(listed(&world, world.live, None, None, 10).await.len(), 1);
}

pub(crate) async fn a_counter_keeps_its_marks_wherever_it_is<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "a")]).await;
    let counters: Vec<CounterKey> = (0..40_u32)
        .map(|n| CounterKey { terms: TermsNumber(n), ..counter(subscription_id(1), "calls") })
        .collect();
    // More than are kept beside a user, so that some are in the table.
    for (used, key) in (0..).zip(&counters) {
        world.change(world.test, user_key(1), [marked(key.clone(), used)]).await;
    }
    let asked: Vec<_> = counters.iter().map(|key| (user_key(1), key.clone())).collect();
    let expected: Vec<_> = (0..40).map(|used| Some(marked_value(used))).collect();
    assert_eq!(world.counter_values(world.test, &asked).await, expected);
    // What is written without marks has none.
    let plain: Vec<Change> =
        counters.iter().map(|key| crate::world::count(key.clone(), 7)).collect();
    world.change(world.test, user_key(1), plain).await;
    assert_eq!(world.counter_values(world.test, &asked).await, vec![Some(7.into()); 40]);
}

pub(crate) async fn a_key_is_forgotten_and_kept_again_with_what_it_counted<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "a")]).await;
    for n in 1..=3 {
        let mut kept = replay(user_key(1), "calls");
        kept.counted = counted(n);
        let name = format!("key {n}");
        let key = idempotency_key(&name);
        world.change(world.test, user_key(1), [keep(&name, kept.clone())]).await;
        assert_eq!(world.replay(world.test, &name).await, Some(kept.clone()));

        let voided = Counted { counter: CountedAt::Digest(7), added: None, sets: 1, voided: true };
        let replaced = kana_core::idempotency::Replay { counted: Some(voided), ..kept };
        let mut writer = world.store.write().await.unwrap();
        writer.facts(world.test, &[user_id("a")]).await.unwrap();
        writer.replays(world.test, std::slice::from_ref(&key)).await.unwrap();
        writer.forget_keys(world.test, std::slice::from_ref(&key)).await.unwrap();
        let change = (user_key(1), keep(&name, replaced.clone()));
        writer.change_facts(world.test, &[change]).await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(world.replay(world.test, &name).await, Some(replaced));
    }
}
