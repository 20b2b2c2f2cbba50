use kana_core::Timestamp;
use kana_core::idempotency::Replay;

use crate::Engine;
use crate::world::{World, keep, replay, user_key};

const HOUR_MS: i64 = 60 * 60 * 1000;

pub(crate) async fn old_keys_are_forgotten_together_and_no_younger_ones<E: Engine>() {
    let world = World::<E>::new().await;
    let kept = |key: &str, hours: i64| {
        let kept_at = Timestamp::from_ms(hours * HOUR_MS);
        keep(key, Replay { kept_at, ..replay(user_key(1), "api-calls") })
    };
    // What is as old as ten days goes; the rest is not even as old as one.
    for hours in [1, 2, 238, 239] {
        let key = format!("of hour {hours}");
        world.change(world.test, user_key(1), [kept(&key, hours)]).await;
        world.change(world.live, user_key(2), [kept(&key, hours)]).await;
        let (before, now) = [hours - 24, hours].map(|hours| hours * HOUR_MS).into();
        let [before, now] = [before, now].map(Timestamp::from_ms);
        world.store.forget_old_keys(before, now).await.unwrap();
        world.store.forget_old_keys(before, now).await.unwrap();
    }

    for environment in [world.test, world.live] {
        for (hours, is_kept) in [(1, false), (2, false), (238, true), (239, true)] {
            let found = world.replay(environment, &format!("of hour {hours}")).await;
            assert_eq!(found.is_some(), is_kept, "{hours}");
        }
    }
    let mut reader = world.store.read().await.unwrap();
    assert_eq!(reader.keys_kept_before(world.test, Timestamp::MAX, 10).await.unwrap(), []);
}
