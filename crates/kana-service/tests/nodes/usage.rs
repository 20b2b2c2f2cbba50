use futures_util::future::join_all;
use kana_core::Refusal;
use kana_core::usage::{RecordUsage, UsageAction};
use kana_service::{Environment, Error};

use crate::world::{World, new_user, package_id, record_one, use_one, used, user_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_grant_a_budget_exactly() {
    const BUDGET: i64 = 300;
    let Some(world) = World::new(BUDGET).await else {
        return;
    };
    // Each node is asked for all of it, by many at once.
    let asking = world.nodes.iter().flat_map(|node| (0..8).map(|_| node.clone())).map(|node| {
        tokio::spawn(async move {
            let mut granted = 0;
            for _ in 0..BUDGET / 8 {
                granted += i64::from(node.use_feature(use_one("ada", None)).await.unwrap().granted);
            }
            granted
        })
    });
    let granted: i64 = join_all(asking).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(granted, BUDGET.min(2 * 8 * (BUDGET / 8)));
    for node in &world.nodes {
        assert_eq!(used(node, "ada").await, BUDGET);
    }
    assert_eq!(world.count("events"), BUDGET);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_has_acknowledged_is_what_the_other_answers() {
    let Some(world) = World::new(1000).await else {
        return;
    };
    let [one, other] = &world.nodes;
    for number in 1..=50 {
        let (telling, asked) = if number % 2 == 0 { (one, other) } else { (other, one) };
        telling.record_usage(record_one("ada", None)).await.unwrap();
        assert_eq!(used(asked, "ada").await, number);
    }
    world.finish().await;
}

/// Sends the same key through both nodes at once, for these users.
async fn same_key(world: &World, users: [&str; 2], key: &str) -> Vec<Result<bool, Error>> {
    let asking = world.nodes.iter().zip(users).map(|(node, user): (&Environment, _)| {
        let (node, usage) = (node.clone(), use_one(user, Some(key)));
        tokio::spawn(async move { node.use_feature(usage).await.map(|used| used.granted) })
    });
    join_all(asking).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_reaches_two_nodes_at_once_counts_once() {
    const ROUNDS: i64 = 40;
    let Some(world) = World::new(1000).await else {
        return;
    };
    for round in 0..ROUNDS {
        let answers = same_key(&world, ["ada", "ada"], &format!("key {round}")).await;
        assert!(answers.iter().all(|granted| *granted.as_ref().unwrap()), "{answers:?}");
    }
    assert_eq!(used(&world.nodes[0], "ada").await, ROUNDS);
    assert_eq!(world.count("events"), ROUNDS);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_of_two_users_that_reaches_two_nodes_at_once_is_a_conflict_for_one() {
    const ROUNDS: i64 = 40;
    let Some(world) = World::new(1000).await else {
        return;
    };
    for round in 0..ROUNDS {
        let answers = same_key(&world, ["ada", "bob"], &format!("key {round}")).await;
        let conflicts = answers
            .iter()
            .filter(|answer| matches!(answer, Err(Error::Refused(Refusal::IdempotencyConflict))))
            .count();
        let granted = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
        assert_eq!((granted, conflicts), (1, 1), "{answers:?}");
    }
    let [ada, bob] = [used(&world.nodes[0], "ada").await, used(&world.nodes[1], "bob").await];
    assert_eq!(ada + bob, ROUNDS);
    assert_eq!(world.count("events"), ROUNDS);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_in_bulk_on_two_nodes_about_the_same_users_all_count() {
    const EACH: i64 = 400;
    let Some(world) = World::new(i64::MAX).await else {
        return;
    };
    let telling = world.nodes.iter().flat_map(|node| [node.clone(), node.clone()]).map(|node| {
        tokio::spawn(async move {
            let usages =
                (0..EACH).map(|n| record_one(if n % 2 == 0 { "ada" } else { "bob" }, None));
            node.record_usage_batch(usages.collect()).await
        })
    });
    for answers in join_all(telling).await {
        assert!(answers.unwrap().iter().all(|answer| answer.as_ref().unwrap().recorded()));
    }
    for user in ["ada", "bob"] {
        assert_eq!(used(&world.nodes[0], user).await, 2 * EACH);
    }
    assert_eq!(world.count("events"), 4 * EACH);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_spread_over_the_lanes_is_answered_in_its_order() {
    let Some(world) = World::new(i64::MAX).await else {
        return;
    };
    let [node, _] = &world.nodes;
    let refused =
        |user| RecordUsage { delta: -1, action: UsageAction::Set, ..record_one(user, None) };
    let usages = (0..900).map(|number| match number % 5 {
        0 => record_one("ada", None),
        1 => record_one("bob", None),
        2 => record_one("nobody", None),
        3 => refused("ada"),
        _ => refused("bob"),
    });
    let answers = node.record_usage_batch(usages.collect()).await;
    assert_eq!(answers.len(), 900);
    for (number, answer) in answers.into_iter().enumerate() {
        match number % 5 {
            0 | 1 => assert!(answer.unwrap().recorded()),
            2 => assert!(matches!(answer, Err(Error::Refused(Refusal::UserNotFound(_))))),
            _ => assert!(matches!(answer, Err(Error::Refused(_)))),
        }
    }
    assert_eq!((used(node, "ada").await, used(node, "bob").await), (180, 180));
    // Those of one user take effect in their order.
    let set = |delta| RecordUsage { delta, action: UsageAction::Set, ..record_one("ada", None) };
    node.record_usage_batch((0..500).map(set).collect()).await;
    assert_eq!(used(node, "ada").await, 499);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_key_that_stands_twice_in_a_request_the_first_counts_whoever_it_is_about() {
    let Some(world) = World::new(i64::MAX).await else {
        return;
    };
    let [node, _] = &world.nodes;
    let names: Vec<String> = (0..8).map(|number| format!("user {number}")).collect();
    for name in &names {
        node.create_user(new_user(name)).await.unwrap();
        node.subscribe(user_id(name), vec![package_id("pro")], None).await.unwrap();
    }
    let mut expected = vec![0; names.len()];
    for (round, first) in (0..).zip(0..names.len()) {
        for second in (0..names.len()).filter(|second| *second != first) {
            let key = format!("key {round} {second}");
            // Those before keep the lane of the first one busy.
            let before = (0..50).map(|_| record_one(&names[first], None));
            let pair = [first, second].map(|user| record_one(&names[user], Some(&key)));
            let mut answers = node.record_usage_batch(before.chain(pair).collect()).await;
            let last = answers.pop().unwrap();
            assert!(matches!(last, Err(Error::Refused(Refusal::IdempotencyConflict))), "{last:?}");
            assert!(answers.into_iter().all(|answer| answer.unwrap().recorded()));
            expected[first] += 51;
        }
    }
    for (name, expected) in names.iter().zip(expected) {
        assert_eq!(used(node, name).await, expected);
    }
    world.finish().await;
}
