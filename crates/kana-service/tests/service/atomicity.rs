//! What must not happen twice, however many ask at once.

use futures_util::future::join_all;
use kana_core::usage::UseFeature;

use crate::world::{World, sentence, subscribe, try_use, use_one, used, user, user_id};

#[tokio::test]
async fn three_hundred_who_ask_together_for_a_budget_of_one_hundred_get_one_hundred() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let asking = (0..300).map(|_| test.use_feature(use_one()));
    let answers = world.together(asking).await;
    let granted = answers.into_iter().filter(|answer| answer.as_ref().unwrap().granted).count();
    assert_eq!(granted, 100);
    assert_eq!(used(&test, "124").await, 100);
    assert_eq!(world.count("events"), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_hundred_who_ask_on_many_threads_for_a_budget_of_one_hundred_get_one_hundred() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let asking = (0..300).map(|_| {
        let test = test.clone();
        tokio::spawn(async move { try_use(&test, use_one()).await.granted })
    });
    let answers = join_all(asking).await;
    assert_eq!(answers.into_iter().filter(|granted| *granted.as_ref().unwrap()).count(), 100);
    assert_eq!(used(&test, "124").await, 100);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_what_still_fits_after_it_is_granted() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let asking = [60, 60, 40, 1].map(|delta| test.use_feature(UseFeature { delta, ..use_one() }));
    let answers = world.together(asking).await;
    let granted: Vec<bool> = answers.into_iter().map(|answer| answer.unwrap().granted).collect();
    assert_eq!(granted, [true, false, true, false]);
    assert_eq!(used(&test, "124").await, 100);
}

#[tokio::test]
async fn two_subscriptions_to_two_bases_in_one_batch_leave_one_base() {
    let world = World::shop().await;
    let test = world.test().await;
    for packages in [["basic", "pro"], ["pro", "basic"]].repeat(5) {
        let id = format!("user-{}", world.count("users"));
        user(&test, &id).await;
        let answers = world.together(packages.map(|package| subscribe(&test, &id, package))).await;
        one_base_is_left(&test, &id, answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_subscriptions_to_two_bases_on_two_threads_leave_one_base() {
    let world = World::shop().await;
    let test = world.test().await;
    for round in 0..20 {
        let id = format!("user-{round}");
        user(&test, &id).await;
        let subscribing = ["basic", "pro"].map(|package| {
            let (test, id) = (test.clone(), id.clone());
            tokio::spawn(async move { subscribe(&test, &id, package).await })
        });
        let answers = join_all(subscribing).await.into_iter().map(Result::unwrap).collect();
        one_base_is_left(&test, &id, answers).await;
    }
}

async fn one_base_is_left(
    test: &kana_service::Environment,
    user: &str,
    answers: Vec<Result<kana_core::subscription::Subscription, kana_service::Error>>,
) {
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 1));
    for refused in refused {
        assert_eq!(sentence(refused), "Cannot subscribe to multiple tiers");
    }
    let (_, subscriptions) = test.subscriptions(&user_id(user)).await.unwrap();
    assert_eq!(subscriptions, made.into_iter().map(Result::unwrap).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_two_users_with_one_id_one_is_made() {
    let world = World::new().await;
    let test = world.test().await;
    let creating = (0..10).map(|_| test.create_user(crate::world::new_user("124")));
    let answers = world.together(creating).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(sentence(refused), "A user with the id 124 exists already");
    }
    assert_eq!(world.count("users"), 1);
}

#[tokio::test]
async fn of_two_features_with_one_id_one_is_made() {
    let world = World::new().await;
    let test = world.test().await;
    let creating = (0..10).map(|_| test.create_feature(crate::world::consumable("api-calls")));
    let made = world.together(creating).await.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((made, world.count("features")), (1, 1));
}

#[tokio::test]
async fn a_user_who_is_made_and_subscribes_in_one_batch_is_there_for_what_follows() {
    let world = World::shop().await;
    let test = world.test().await;
    let calls = (0..3).map(|step| {
        let test = test.clone();
        async move {
            match step {
                0 => test.create_user(crate::world::new_user("125")).await.map(|_| ()),
                1 => subscribe(&test, "125", "basic").await.map(|_| ()),
                _ => {
                    let usage = UseFeature { user: user_id("125"), ..use_one() };
                    test.use_feature(usage).await.map(|used| assert!(used.granted))
                }
            }
        }
    });
    assert!(world.together(calls).await.iter().all(Result::is_ok));
    assert_eq!(used(&test, "125").await, 1);
}
