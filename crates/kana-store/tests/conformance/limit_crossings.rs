//! Who has crossed a share of a limit.

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::id::UserId;
use kana_core::near_limit::{LimitCrossing, Share};
use kana_store::EnvironmentId;

use crate::Engine;
use crate::world::{World, create_user, feature_id, time, user, user_key};

const NOW: &str = "2024-01-15T00:00:00.000Z";

fn crossing(feature: &str, share: Share, period_end: Option<&str>, crossed_at: &str) -> Change {
    Change::CrossLimit(LimitCrossing {
        feature: feature_id(feature),
        share,
        period_end: period_end.map(time),
        crossed_at: time(crossed_at),
    })
}

/// Users and features, "user feature" each, as of an instant.
async fn crossed<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    now: Timestamp,
    limit: usize,
) -> Vec<String> {
    let mut reader = world.store.read().await.unwrap();
    let crossed = reader.limit_crossings(environment, now, limit).await.unwrap();
    crossed.iter().map(|it| format!("{} {}", it.user, it.feature)).collect()
}

/// With the users `a`, `b` and `c`.
async fn world<E: Engine>() -> World<E> {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "a"), (2, "b"), (3, "c")] {
        for environment in [world.test, world.live] {
            world.change(environment, user_key(n), [create_user(user_key(n), id)]).await;
        }
    }
    world
}

pub(crate) async fn whoever_crossed_last_comes_first_and_each_once<E: Engine>() {
    let world = world::<E>().await;
    let (test, end) = (world.test, Some("2024-02-01T00:00:00Z"));
    let first = [
        crossing("calls", Share::Near, end, "2024-01-02T00:00:00Z"),
        crossing("calls", Share::Full, end, "2024-01-03T00:00:00Z"),
        crossing("seats", Share::Near, None, "2024-01-01T00:00:00Z"),
    ];
    world.change(test, user_key(1), first).await;
    let second = [crossing("calls", Share::Near, end, "2024-01-02T12:00:00Z")];
    world.change(test, user_key(2), second.clone()).await;
    world.change(world.live, user_key(3), second).await;

    let all = ["a calls", "b calls", "a seats"];
    assert_eq!(crossed(&world, test, time(NOW), 9).await, all);
    assert_eq!(crossed(&world, test, time(NOW), 2).await, all[..2]);
    assert_eq!(crossed(&world, world.live, time(NOW), 9).await, ["c calls"]);

    // Again, twice in one transaction: the last time is what counts.
    let again = ["2024-01-04T00:00:00Z", "2024-01-05T00:00:00Z"]
        .map(|at| crossing("seats", Share::Near, None, at));
    world.change(test, user_key(1), again).await;
    let world = world.opened_again().await;
    let expected = ["a seats", "a calls", "b calls"];
    assert_eq!(crossed(&world, world.test, time(NOW), 9).await, expected);
}

pub(crate) async fn what_is_not_committed_has_crossed_nothing<E: Engine>() {
    let world = world::<E>().await;
    let change = (user_key(1), crossing("calls", Share::Near, None, NOW));
    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &[change]).await.unwrap();
    drop(writer);
    assert_eq!(crossed(&world, world.test, time(NOW), 9).await, [""; 0]);
}

pub(crate) async fn crossings_of_periods_that_have_ended_are_left_out_and_deleted<E: Engine>() {
    let world = world::<E>().await;
    let (test, live) = (world.test, world.live);
    let ends = ["2024-01-14T00:00:00Z", NOW, "2024-01-15T00:00:00.001Z"];
    for environment in [test, live] {
        for (n, end) in (1..).zip(ends) {
            let near = crossing("calls", Share::Near, Some(end), "2024-01-01T00:00:00Z");
            let full = crossing("calls", Share::Full, Some(end), "2024-01-01T00:00:00Z");
            world.change(environment, user_key(n), [near, full]).await;
        }
        let never = crossing("seats", Share::Full, None, "2023-01-01T00:00:00Z");
        world.change(environment, user_key(1), [never]).await;
    }
    let left = ["c calls", "a seats"];
    assert_eq!(crossed(&world, test, time(NOW), 9).await, left);
    // Two rows of each of two users have ended.
    let mut deleted = Vec::new();
    for _ in 0..3 {
        deleted.push(world.store.forget_limit_crossings(test, time(NOW), 3).await.unwrap());
    }
    assert_eq!(deleted, [3, 1, 0]);
    assert_eq!(crossed(&world, test, time(NOW), 9).await, left);
    let earlier = time("2024-01-01T00:00:00Z");
    assert_eq!(crossed(&world, test, earlier, 9).await, left);
    assert_eq!(crossed(&world, live, earlier, 9).await.len(), 4);
}

pub(crate) async fn a_user_who_crosses_keeps_that_with_another_id<E: Engine>() {
    let world = world::<E>().await;
    world.change(world.test, user_key(1), [crossing("calls", Share::Near, None, NOW)]).await;
    let previous_id = Some(UserId::new("user", "a").unwrap());
    let renamed = Change::UpdateUser { user: user(user_key(1), "z"), previous_id };
    world.change(world.test, user_key(1), [renamed]).await;
    assert_eq!(crossed(&world, world.test, time(NOW), 9).await, ["z calls"]);
}
