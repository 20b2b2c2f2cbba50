//! Walks through the log of usage events.

use std::time::Duration;

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::id::{SubscriptionId, UserKey};
use kana_core::usage::{LoggedAction, UsageEvent};
use kana_store::EnvironmentId;
use kana_store::usage_events::{EventCursor, EventsOfUser};
use serde_json::json;

use crate::Engine;
use crate::world::{
    BEGINNING, World, create_user, event, idempotency_key, metadata, subscription_id, time,
    user_key,
};

/// Enough to look at every event of a story.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(60);

async fn page<E: Engine>(
    world: &World<E>,
    (environment, user): (EnvironmentId, UserKey),
    after: Option<EventCursor>,
    limit: usize,
    patience: Duration,
) -> EventsOfUser {
    let mut reader = world.store.read().await.unwrap();
    reader.events_of(environment, user, after, limit, patience).await.unwrap()
}

/// All events of a user, in pages.
async fn walked<E: Engine>(
    world: &World<E>,
    of: (EnvironmentId, UserKey),
    limit: usize,
    patience: Duration,
) -> Vec<UsageEvent> {
    let mut events: Vec<UsageEvent> = Vec::new();
    let mut after = None;
    for _ in 0..1000 {
        let next = page(world, of, after, limit, patience).await;
        assert!(next.events.len() <= limit);
        assert_eq!(next.next.is_none(), next.looked_back_to.is_none());
        events.extend(next.events);
        let back_to = next.looked_back_to.unwrap_or(Timestamp::MIN);
        assert!(events.iter().all(|event| event.recorded_at >= back_to));
        match next.next {
            // As an address has it.
            Some(cursor) => after = EventCursor::parse(&cursor.to_string()),
            None => return events,
        }
    }
    panic!("the log has no end");
}

/// An event as the log has it: it does not keep by how much usage changed.
fn logged(subscription: SubscriptionId, feature: &str) -> UsageEvent {
    UsageEvent { amount: 0, ..event(subscription, feature) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_ms(time(BEGINNING).as_ms() + 1000 * second)
}

pub(crate) async fn events_are_read_as_they_were_recorded_newest_first<E: Engine>() {
    let world = World::<E>::new().await;
    let plain = logged(subscription_id(1), "api-calls");
    let shapes = [
        plain.clone(),
        UsageEvent { action: LoggedAction::Set, delta: 0, ..plain.clone() },
        UsageEvent { delta: i64::MIN, occurred_at: Timestamp::MIN, ..plain.clone() },
        UsageEvent { delta: i64::MAX, occurred_at: Timestamp::MAX, ..plain.clone() },
        UsageEvent { subscription: None, ..plain.clone() },
        UsageEvent { idempotency_key: Some(idempotency_key("Schlüssel 🔑")), ..plain.clone() },
        UsageEvent { metadata: Some(metadata(json!({ "z": "é\u{0}", "a": [] }))), ..plain },
    ];
    let (ada, bob) = (user_key(1), user_key(2));
    let mut expected = Vec::new();
    for environment in [world.test, world.live] {
        world.change(environment, ada, [create_user(ada, "ada")]).await;
        world.change(environment, bob, [create_user(bob, "bob")]).await;
    }
    for (second, shape) in (0..).zip(shapes) {
        let shape = UsageEvent { recorded_at: at(second), ..shape };
        expected.insert(0, shape.clone());
        let other = UsageEvent { delta: 77, ..shape.clone() };
        world.change(world.test, bob, [Change::LogEvent(other.clone())]).await;
        world.change(world.test, ada, [Change::LogEvent(shape)]).await;
        world.change(world.live, ada, [Change::LogEvent(other)]).await;
    }
    for limit in [1, 2, 7, 8, 100] {
        let events = walked(&world, (world.test, ada), limit, AS_LONG_AS_IT_TAKES).await;
        assert_eq!(events, expected, "in pages of {limit}");
        let impatient = walked(&world, (world.test, ada), limit, Duration::ZERO).await;
        assert_eq!(impatient, expected, "in pages of {limit}");
    }
    assert_eq!(walked(&world, (world.test, bob), 3, AS_LONG_AS_IT_TAKES).await.len(), 7);
    assert_eq!(walked(&world, (world.live, bob), 3, AS_LONG_AS_IT_TAKES).await, []);
    let nobody = page(&world, (world.test, user_key(9)), None, 5, AS_LONG_AS_IT_TAKES).await;
    assert_eq!(nobody, EventsOfUser { events: vec![], looked_back_to: None, next: None });
}

pub(crate) async fn an_empty_log_has_no_events_and_an_end<E: Engine>() {
    let world = World::<E>::new().await;
    let empty = page(&world, (world.test, user_key(1)), None, 5, Duration::ZERO).await;
    assert_eq!(empty, EventsOfUser { events: vec![], looked_back_to: None, next: None });
}

pub(crate) async fn events_of_one_instant_are_on_one_page_each<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = user_key(1);
    world.change(world.test, ada, [create_user(ada, "ada")]).await;
    for second in [0, 90, 86_400 * 40] {
        let events = (0..9).map(|delta| {
            let plain = logged(subscription_id(1), "api-calls");
            Change::LogEvent(UsageEvent { delta, recorded_at: at(second), ..plain })
        });
        world.change(world.test, ada, events).await;
    }
    for limit in [1, 2, 4, 9, 10, 27, 28] {
        let events = walked(&world, (world.test, ada), limit, Duration::ZERO).await;
        let deltas: Vec<i64> = events.iter().map(|event| event.delta).collect();
        let each: Vec<i64> = (0..9).rev().collect();
        assert_eq!(deltas, [each.clone(), each.clone(), each].concat(), "in pages of {limit}");
    }
}

pub(crate) async fn a_walk_that_ends_early_says_how_far_it_has_looked<E: Engine>() {
    let world = World::<E>::new().await;
    let (ada, bob) = (user_key(1), user_key(2));
    world.change(world.test, ada, [create_user(ada, "ada")]).await;
    world.change(world.test, bob, [create_user(bob, "bob")]).await;
    let plain = logged(subscription_id(1), "api-calls");
    world.change(world.test, ada, [Change::LogEvent(plain.clone())]).await;
    for hour in 1..=6 {
        let others = (0..5000).map(|n| {
            let recorded_at = Timestamp::from_ms(at(3600 * hour).as_ms() + n);
            Change::LogEvent(UsageEvent { recorded_at, ..plain.clone() })
        });
        world.change(world.test, bob, others).await;
    }
    let first = page(&world, (world.test, ada), None, 50, Duration::ZERO).await;
    assert!(first.events.is_empty());
    assert!(first.looked_back_to.unwrap() > plain.recorded_at && first.next.is_some());
    assert_eq!(walked(&world, (world.test, ada), 50, Duration::ZERO).await, [plain]);
    let all = walked(&world, (world.test, bob), 1000, Duration::from_millis(30)).await;
    assert_eq!(all.len(), 30_000);
    assert!(all.is_sorted_by(|newer, older| newer.recorded_at >= older.recorded_at));
}
