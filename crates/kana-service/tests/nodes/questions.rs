use futures_util::future::join_all;
use kana_core::Refusal;
use kana_core::id::FeatureId;
use kana_service::Error;

use crate::world::{World, api_calls, record_one, user_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_are_asked_at_once_are_read_together_and_each_has_its_own_answer() {
    const QUESTIONS: usize = 600;
    let Some(world) = World::new(10).await else {
        return;
    };
    let [node, _] = &world.nodes;
    for (user, used) in [("ada", 3), ("bob", 10)] {
        let usages = (0..used).map(|_| record_one(user, None)).collect();
        assert!(node.record_usage_batch(usages).await.iter().all(Result::is_ok));
    }
    let before = world.stores[0].round_trips();
    let asking = (0..QUESTIONS).map(|number| async move {
        let nothing = FeatureId::new("feature", "nothing").unwrap();
        let (user, feature) = match number % 4 {
            0 => ("ada", api_calls()),
            1 => ("bob", api_calls()),
            2 => ("nobody", api_calls()),
            _ => ("ada", nothing),
        };
        node.can_use_feature(&user_id(user), &feature, 1).await
    });
    let answers = join_all(asking).await;
    let round_trips = world.stores[0].round_trips() - before;
    for (number, answer) in answers.into_iter().enumerate() {
        match number % 4 {
            0 => {
                let answer = answer.unwrap();
                assert_eq!((answer.access, answer.consumption.unwrap().used), (true, 3));
            }
            1 => {
                let answer = answer.unwrap();
                assert_eq!((answer.access, answer.consumption.unwrap().used), (false, 10));
            }
            2 => assert!(matches!(answer, Err(Error::Refused(Refusal::UserNotFound(_))))),
            _ => assert!(matches!(answer, Err(Error::Refused(Refusal::FeatureNotFound(_))))),
        }
    }
    assert!(round_trips < 60, "{round_trips} for {QUESTIONS} questions");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_needs_beside_the_facts_is_found_for_all_who_ask() {
    let Some(world) = World::new(10).await else {
        return;
    };
    let [node, other] = &world.nodes;
    let mut ended = Vec::new();
    for user in ["ada", "bob"] {
        let running = node.subscriptions(&user_id(user)).await.unwrap().1;
        node.cancel_subscription(&running[0].id.to_string()).await.unwrap();
        ended.push(running[0].id);
    }
    // Those that have ended do not come with the facts.
    let asking = (0..40).map(|number| async move {
        other.subscriptions(&user_id(if number % 2 == 0 { "ada" } else { "bob" })).await
    });
    for (number, answer) in join_all(asking).await.into_iter().enumerate() {
        let subscriptions = answer.unwrap().1;
        assert_eq!(subscriptions.len(), 1);
        assert_eq!(subscriptions[0].id, ended[number % 2]);
        assert!(subscriptions[0].ended_at.is_some());
    }
    world.finish().await;
}
