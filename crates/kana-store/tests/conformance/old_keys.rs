use kana_core::Timestamp;
use kana_core::idempotency::Replay;

use crate::Engine;
use crate::world::{World, idempotency_key, keep, replay, user_key};

pub(crate) async fn the_oldest_keys_are_found_first_and_no_younger_ones<E: Engine>() {
    let world = World::<E>::new().await;
    let kept = |key: &str, ms: i64| {
        let kept_at = Timestamp::from_ms(ms);
        keep(key, Replay { kept_at, ..replay(user_key(1), "api-calls") })
    };
    let keeps = [kept("young", 300), kept("oldest", 100), kept("old", 200)];
    world.change(world.test, user_key(1), keeps).await;
    world.change(world.live, user_key(2), [kept("elsewhere", 1)]).await;

    let mut reader = world.store.read().await.unwrap();
    let mut before = async |ms: i64, limit: usize| {
        let before = Timestamp::from_ms(ms);
        reader.keys_kept_before(world.test, before, limit).await.unwrap()
    };
    assert_eq!(before(300, 10).await, ["oldest", "old"].map(idempotency_key));
    assert_eq!(before(301, 1).await, ["oldest"].map(idempotency_key));
    assert_eq!(before(100, 10).await, []);
}
