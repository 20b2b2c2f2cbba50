//! Reads usage again, user by user.

use std::time::Duration;

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::id::UserKey;
use kana_core::simulation::SimulatedEvent;
use kana_core::usage::{LoggedAction, UsageAction, UsageEvent};
use kana_store::EnvironmentId;
use kana_store::usage_by_user::{LoggedUsage, UsageByUser, UsageWindow};

use crate::Engine;
use crate::world::{
    World, create_user, event, feature_id, idempotency_key, subscription_id, user_key,
};

fn window(from: i64, to: i64) -> UsageWindow {
    let occurred = Timestamp::from_ms(from)..Timestamp::from_ms(to);
    UsageWindow { occurred, limit: Duration::from_secs(60) }
}

async fn all(mut batches: UsageByUser) -> Vec<(UserKey, LoggedUsage)> {
    let mut entries = Vec::new();
    while let Some(batch) = batches.next().await.unwrap() {
        entries.extend(batch);
    }
    entries
}

async fn read<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    window: UsageWindow,
) -> Vec<(UserKey, LoggedUsage)> {
    all(world.store.usage_by_user(environment, window).await.unwrap().unwrap()).await
}

fn at(recorded_ms: i64, occurred_ms: i64) -> UsageEvent {
    UsageEvent {
        occurred_at: Timestamp::from_ms(occurred_ms),
        recorded_at: Timestamp::from_ms(recorded_ms),
        ..event(subscription_id(1), "calls")
    }
}

fn keyed(known: UsageEvent, key: &str) -> UsageEvent {
    UsageEvent { idempotency_key: Some(idempotency_key(key)), ..known }
}

fn simulated(known: &UsageEvent) -> LoggedUsage {
    let action = match known.action {
        LoggedAction::Set => UsageAction::Set,
        LoggedAction::Add | LoggedAction::Void => UsageAction::Add,
    };
    LoggedUsage::Event(SimulatedEvent {
        feature: feature_id(known.feature.as_str()),
        action,
        delta: known.delta,
        occurred_at: known.occurred_at,
        idempotency_key: known.idempotency_key.clone(),
    })
}

async fn log<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    events: &[(u16, &UsageEvent)],
) {
    for (n, known) in events {
        world.change(environment, user_key(*n), [Change::LogEvent((*known).clone())]).await;
    }
}

pub(crate) async fn usage_is_read_user_by_user_in_order_of_arrival<E: Engine>() {
    let world = World::<E>::new().await;
    for environment in [world.test, world.live] {
        for n in [1, 2] {
            let user = [create_user(user_key(n), &n.to_string())];
            world.change(environment, user_key(n), user).await;
        }
    }
    let [one, two] = [keyed(at(1_000, 1_000), "one"), at(2_000, 2_000)];
    let set = UsageEvent { action: LoggedAction::Set, delta: 7, ..at(3_000, 3_000) };
    // What was used in the stretch, though it was told later.
    let late = at(90_000_000, 1_500);
    let void =
        UsageEvent { action: LoggedAction::Void, delta: -1, ..keyed(at(95_000_000, 1_000), "one") };
    let (early, after) = (at(500, 999), at(4_000, 4_000));
    let order = [
        (2, &two),
        (1, &one),
        (2, &early),
        (1, &set),
        (2, &one),
        (1, &after),
        (1, &late),
        (1, &void),
    ];
    log(&world, world.test, &order).await;
    log(&world, world.live, &[(1, &two)]).await;

    let (first, second) = (user_key(1), user_key(2));
    let expected = vec![
        (first, LoggedUsage::TakenBack(idempotency_key("one"), Timestamp::from_ms(1_000))),
        (first, simulated(&one)),
        (first, simulated(&set)),
        (first, simulated(&late)),
        (second, simulated(&two)),
        (second, simulated(&one)),
    ];
    let mut found = read(&world, world.test, window(1_000, 4_000)).await;
    // Users come in the order of their keys, whatever that is.
    found.sort_by_key(|(user, _)| *user != first);
    // Of one engine it is the order of arrival, and of the other one that of the instants at which they arrived.
    found[4..].sort_by_key(|(_, entry)| *entry != simulated(&two));
    assert_eq!(found, expected);
    assert_eq!(read(&world, world.test, window(4_001, 5_000)).await, []);
    assert_eq!(read(&world, world.live, window(0, 5_000)).await, [(first, simulated(&two))]);
}

pub(crate) async fn any_number_of_events_comes_in_batches<E: Engine>() {
    let world = World::<E>::new().await;
    let key = user_key(1);
    world.change(world.test, key, [create_user(key, "124")]).await;
    let events = (0..1_300).map(|n| Change::LogEvent(at(1_000 + n, 1_000 + n)));
    world.change(world.test, key, events).await;
    let found = read(&world, world.test, window(1_000, 2_200)).await;
    let instants: Vec<i64> = found
        .iter()
        .map(|(user, entry)| match entry {
            LoggedUsage::Event(event) if *user == key => event.occurred_at.as_ms(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(instants, (1_000..2_200).collect::<Vec<_>>());
}

pub(crate) async fn whoever_goes_away_is_in_nobodys_way<E: Engine>() {
    let world = World::<E>::new().await;
    let key = user_key(1);
    world.change(world.test, key, [create_user(key, "124")]).await;
    let events = (0..3_000).map(|n| Change::LogEvent(at(1_000 + n, 1_000)));
    world.change(world.test, key, events).await;
    for goes_on in [true, false, true] {
        // A lock is gone once the connection is, which this does not wait for.
        let mut begun = None;
        while begun.is_none() {
            begun = world.store.usage_by_user(world.test, window(0, 2_000)).await.unwrap();
        }
        // At once, or after the first batch.
        if goes_on {
            assert!(begun.unwrap().next().await.unwrap().is_some());
        }
    }
    let mut begun = None;
    while begun.is_none() {
        begun = world.store.usage_by_user(world.test, window(0, 2_000)).await.unwrap();
    }
    assert_eq!(all(begun.unwrap()).await.len(), 3_000);
}
