use futures_util::future::join_all;
use kana_core::Refusal;
use kana_core::subscription::Subscription;
use kana_core::user::{User, UserEdit};
use kana_service::Error;

use crate::world::{World, new_user, package_id, use_one, used, user_id};

const ROUNDS: usize = 30;

fn is_taken<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Refused(Refusal::UserIdTaken(_))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_id_that_two_nodes_give_at_once_belongs_to_one_user() {
    let Some(world) = World::new(10).await else {
        return;
    };
    for round in 0..ROUNDS {
        let making = world.nodes.iter().map(|node| {
            let (node, new) = (node.clone(), new_user(&format!("new {round}")));
            tokio::spawn(async move { node.create_user(new).await })
        });
        let answers: Vec<_> = join_all(making).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| is_taken(answer)).count(), 1, "{answers:?}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_id_that_two_users_get_on_two_nodes_belongs_to_one() {
    let Some(world) = World::new(10).await else {
        return;
    };
    let mut ids = ["ada".to_owned(), "bob".to_owned()];
    for round in 0..ROUNDS {
        let new = format!("new {round}");
        let naming = world.nodes.iter().zip(&ids).map(|(node, id)| {
            let edit = UserEdit { id: Some(user_id(&new)), ..UserEdit::default() };
            let (node, user) = (node.clone(), user_id(id));
            tokio::spawn(async move { node.update_user(user, edit).await })
        });
        let answers: Vec<_> = join_all(naming).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| is_taken(answer)).count(), 1, "{answers:?}");
        let winner = answers.iter().position(Result::is_ok).unwrap();
        ids[winner] = new;
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_who_take_each_others_ids_on_two_nodes_stay_as_many_and_have_one_id_each() {
    const USERS: usize = 6;
    let Some(world) = World::new(10).await else {
        return;
    };
    let id = |number: usize| user_id(&format!("user {}", number % (USERS + 1)));
    for number in 0..USERS {
        world.nodes[0].create_user(new_user(id(number).as_str())).await.unwrap();
    }
    let users = async || world.nodes[1].users(None, 100, false).await.unwrap().users;
    let keys = |users: &[(User, Option<Vec<Subscription>>)]| {
        users.iter().map(|(user, _)| user.key).collect::<Vec<_>>()
    };
    let before = keys(&users().await);
    for round in 0..ROUNDS {
        // One id is free at first, and so is whichever was given up last.
        let naming = world.nodes.iter().enumerate().flat_map(|(which, node)| {
            (0..=USERS).map(move |number| {
                let (from, to) = (id(number * (which + 2)), id(number + round));
                let edit = UserEdit { id: Some(to), ..UserEdit::default() };
                let node = node.clone();
                tokio::spawn(async move { node.update_user(from, edit).await })
            })
        });
        for answer in join_all(naming).await {
            let answer = answer.unwrap();
            let unknown = matches!(answer, Err(Error::Refused(Refusal::UserNotFound(_))));
            assert!(answer.is_ok() || is_taken(&answer) || unknown, "{answer:?}");
        }
        let users = users().await;
        assert_eq!(keys(&users), before);
        let mut ids: Vec<_> = users.into_iter().map(|(user, _)| user.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), before.len());
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn usage_stays_with_a_user_whose_id_changes_on_another_node() {
    let Some(world) = World::new(10_000).await else {
        return;
    };
    let [one, other] = world.nodes.clone();
    let using = tokio::spawn(async move {
        let mut granted = 0;
        // The id may have changed at any moment; whatever is granted counts for the same user.
        for number in 0..200 {
            let id = if number % 2 == 0 { "ada" } else { "eve" };
            match one.use_feature(use_one(id, None)).await {
                Ok(used) => granted += i64::from(used.granted),
                Err(Error::Refused(Refusal::UserNotFound(_))) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        granted
    });
    for round in 0..ROUNDS {
        let (from, to) = if round % 2 == 0 { ("ada", "eve") } else { ("eve", "ada") };
        let edit = UserEdit { id: Some(user_id(to)), ..UserEdit::default() };
        other.update_user(user_id(from), edit).await.unwrap();
    }
    let granted = using.await.unwrap();
    assert!(granted > 0);
    assert_eq!(used(&other, "ada").await, granted);
    drop(other);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_do_not_subscribe_a_user_to_two_bases() {
    let Some(world) = World::new(10).await else {
        return;
    };
    for round in 0..ROUNDS {
        let id = format!("user {round}");
        world.nodes[0].create_user(new_user(&id)).await.unwrap();
        let subscribing = world.nodes.iter().map(|node| {
            let (node, user) = (node.clone(), user_id(&id));
            tokio::spawn(async move { node.subscribe(user, vec![package_id("pro")], None).await })
        });
        join_all(subscribing).await;
        let (_, subscriptions) = world.nodes[1].subscriptions(&user_id(&id)).await.unwrap();
        let running = subscriptions.iter().filter(|one| one.ended_at.is_none()).count();
        assert_eq!(running, 1, "{subscriptions:?}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscription_is_cancelled_through_the_other_node_while_its_user_gets_another_id() {
    let Some(world) = World::new(10).await else {
        return;
    };
    let [one, other] = &world.nodes;
    let mut id = "ada".to_owned();
    for round in 0..ROUNDS {
        let (_, subscriptions) = one.subscriptions(&user_id(&id)).await.unwrap();
        let runs = subscriptions.iter().find(|one| one.ended_at.is_none()).unwrap().id.to_string();
        let new = format!("ada {round}");
        let edit = UserEdit { id: Some(user_id(&new)), ..UserEdit::default() };
        let (renamed, cancelled) =
            tokio::join!(one.update_user(user_id(&id), edit), other.cancel_subscription(&runs));
        renamed.unwrap();
        let (_, owner, _) = cancelled.unwrap();
        assert!([id.as_str(), new.as_str()].contains(&owner.as_str()));
        id = new;
        other.subscribe(user_id(&id), vec![package_id("pro")], None).await.unwrap();
    }
    world.finish().await;
}
