//! Events are written. How they are read is told in `usage_events`; what stands in the log is each
//! engine's own test.

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::usage::{LoggedAction, UsageEvent};
use serde_json::json;

use crate::Engine;
use crate::world::{
    World, count, counter, create_user, event, idempotency_key, metadata, subscription_id, user_key,
};

pub(crate) async fn events_of_every_shape_are_kept<E: Engine>() {
    let world = World::<E>::new().await;
    let plain = event(subscription_id(1), "api-calls");
    let shapes = [
        plain.clone(),
        UsageEvent { action: LoggedAction::Set, delta: 0, ..plain.clone() },
        UsageEvent { delta: i64::MIN, occurred_at: Timestamp::MIN, ..plain.clone() },
        UsageEvent { delta: i64::MAX, occurred_at: Timestamp::MAX, ..plain.clone() },
        UsageEvent { subscription: None, ..plain.clone() },
        UsageEvent { idempotency_key: Some(idempotency_key("Schlüssel 🔑")), ..plain.clone() },
        UsageEvent { metadata: Some(metadata(json!({ "z": "é\u{0}", "a": [] }))), ..plain },
    ];
    let api_calls = counter(subscription_id(1), "api-calls");
    let changes = [create_user(user_key(1), "124")]
        .into_iter()
        .chain(shapes.map(Change::LogEvent))
        .chain([count(api_calls.clone(), 7)]);
    world.change(world.test, user_key(1), changes).await;

    // The change that follows the events was written, so none of them was refused.
    assert_eq!(world.counter(world.test, user_key(1), api_calls).await, 7);
}

pub(crate) async fn the_same_event_can_happen_twice<E: Engine>() {
    let world = World::<E>::new().await;
    let same = || Change::LogEvent(event(subscription_id(1), "api-calls"));
    let changes = [create_user(user_key(1), "124"), same(), same()];
    world.change(world.test, user_key(1), changes).await;
    world.change(world.test, user_key(1), [same()]).await;
}
