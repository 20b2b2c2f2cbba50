use kana_core::Timestamp;
use kana_core::entitlement::{Consumption, Extras, Reason};
use kana_core::idempotency::{Content, KeptAnswer, Replay};
use kana_core::usage::{RecordedUsage, UsageAction, UsedFeature};

use crate::Engine;
use crate::world::{World, create_user, feature_id, idempotency_key, keep, replay, time, user_key};

const EVERY_REASON: [Reason; 6] = [
    Reason::NotGranted,
    Reason::Granted,
    Reason::Unlimited,
    Reason::WithinLimit,
    Reason::Overage,
    Reason::LimitReached,
];

/// Keeps each replay under a key of its own and reads all of them back.
async fn are_kept<E: Engine>(replays: Vec<Replay>) {
    let world = World::<E>::new().await;
    let keys: Vec<_> = (0..replays.len()).map(|n| format!("key-{n}")).collect();
    let changes = std::iter::once(create_user(user_key(1), "124"))
        .chain(keys.iter().zip(&replays).map(|(key, replay)| keep(key, replay.clone())));
    world.change(world.test, user_key(1), changes).await;

    let keys: Vec<_> = keys.iter().map(|key| idempotency_key(key)).collect();
    let read = world.replays(world.test, &keys).await;
    assert_eq!(read, replays.into_iter().map(Some).collect::<Vec<_>>());
}

pub(crate) async fn a_key_that_was_never_used_answers_nothing<E: Engine>() {
    let world = World::<E>::new().await;

    assert_eq!(world.replay(world.test, "never").await, None);
    assert_eq!(world.replays(world.test, &[]).await, []);
}

pub(crate) async fn every_answer_to_recording_usage_is_kept<E: Engine>() {
    let answers = [RecordedUsage::Recorded, RecordedUsage::NotCounted].map(KeptAnswer::Recorded);
    let replays =
        answers.map(|answer| Replay { answer, ..replay(user_key(1), "api-calls") }).to_vec();
    are_kept::<E>(replays).await;
}

pub(crate) async fn every_answer_to_using_a_feature_is_kept<E: Engine>() {
    let consumptions = [
        None,
        Some(Consumption { used: 0, budget: None, overage_enabled: false, extras: Extras::NONE }),
        Some(Consumption {
            used: 3,
            budget: Some(3),
            overage_enabled: false,
            extras: Extras::NONE,
        }),
        Some(Consumption {
            used: i64::MAX,
            budget: Some(0),
            overage_enabled: true,
            extras: Extras::NONE,
        }),
        Some(Consumption {
            used: 1,
            budget: Some(i64::MAX),
            overage_enabled: true,
            extras: Extras { carried: 1, granted: 2, held: i64::MAX },
        }),
    ];
    let mut replays = Vec::new();
    for reason in EVERY_REASON {
        for consumption in consumptions {
            for granted in [true, false] {
                let answer = KeptAnswer::Used(UsedFeature { granted, reason, consumption });
                replays.push(Replay { answer, ..replay(user_key(1), "api-calls") });
            }
        }
    }
    are_kept::<E>(replays).await;
}

pub(crate) async fn what_was_asked_is_kept_with_the_answer<E: Engine>() {
    let asked = |action, delta, occurred_at| {
        let feature = feature_id("/Maße/ü");
        Content { user: user_key(1), feature, action, delta, occurred_at }
    };
    let contents = [
        asked(UsageAction::Add, 1, None),
        asked(UsageAction::Set, 0, None),
        asked(UsageAction::Add, i64::MIN, Some(Timestamp::MIN)),
        asked(UsageAction::Set, i64::MAX, Some(Timestamp::MAX)),
        asked(UsageAction::Add, -1, Some(time("1969-12-31T23:59:59.999Z"))),
        // A key lives in its environment, whoever the user is.
        Content { user: user_key(2), ..asked(UsageAction::Add, 1, None) },
    ];
    let kept_at = time("2024-02-29T12:34:56.789Z");
    let replays = contents
        .map(|content| Replay { content, kept_at, ..replay(user_key(1), "api-calls") })
        .to_vec();
    are_kept::<E>(replays).await;
}

pub(crate) async fn keys_are_compared_exactly<E: Engine>() {
    let world = World::<E>::new().await;
    let longest = "🔑".repeat(255);
    let keys = ["key", "Key", "k%y", "1", "01", "é", "e\u{301}", &longest];
    let changes = (0_i64..).zip(keys).map(|(delta, key)| {
        let mut replay = replay(user_key(1), "api-calls");
        replay.content.delta = delta;
        keep(key, replay)
    });
    let changes: Vec<_> = changes.collect();
    world.change(world.test, user_key(1), changes).await;

    for (delta, key) in (0_i64..).zip(keys) {
        let read = world.replay(world.test, key).await.unwrap();
        assert_eq!(read.content.delta, delta, "{key}");
    }
    assert_eq!(world.replay(world.test, "kEy").await, None);
}

pub(crate) async fn replays_stand_in_the_order_in_which_they_were_asked_for<E: Engine>() {
    let world = World::<E>::new().await;
    let [api_calls, seats] = ["api-calls", "seats"].map(|feature| replay(user_key(1), feature));
    let changes = [keep("a", api_calls.clone()), keep("b", seats.clone())];
    world.change(world.test, user_key(1), changes).await;

    let asked = ["b", "c", "a", "b"].map(idempotency_key);
    let read = world.replays(world.test, &asked).await;
    assert_eq!(read, [Some(seats.clone()), None, Some(api_calls), Some(seats)]);
}

pub(crate) async fn a_key_that_was_used_is_not_used_again<E: Engine>() {
    let world = World::<E>::new().await;
    let first = replay(user_key(1), "api-calls");
    world.change(world.test, user_key(1), [keep("once", first.clone())]).await;

    let mut writer = world.store.write().await.unwrap();
    let again = [(user_key(1), keep("once", replay(user_key(1), "seats")))];
    writer.change_facts(world.test, &again).await.unwrap_err();
    drop(writer);

    assert_eq!(world.replay(world.test, "once").await, Some(first));
}

pub(crate) async fn keys_are_forgotten_and_can_be_used_again<E: Engine>() {
    let world = World::<E>::new().await;
    let first = replay(user_key(1), "api-calls");
    let other = replay(user_key(1), "seats");
    let keeps = ["a", "b", "c"].map(|key| keep(key, first.clone()));
    world.change(world.test, user_key(1), keeps).await;
    world.change(world.live, user_key(2), [keep("a", first.clone())]).await;

    let mut writer = world.store.write().await.unwrap();
    let forgotten = ["a", "c", "never"].map(idempotency_key);
    writer.forget_keys(world.test, &forgotten).await.unwrap();
    // In the same transaction, too.
    writer.change_facts(world.test, &[(user_key(1), keep("c", other.clone()))]).await.unwrap();
    writer.commit().await.unwrap();

    assert_eq!(world.replay(world.test, "a").await, None);
    assert_eq!(world.replay(world.test, "b").await, Some(first.clone()));
    assert_eq!(world.replay(world.test, "c").await, Some(other));
    assert_eq!(world.replay(world.live, "a").await, Some(first));
}
