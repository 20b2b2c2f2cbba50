//! Users who change, and many of them.

use futures_util::future::join_all;
use kana_core::edit::Edit;
use kana_core::metadata::Label;
use kana_core::usage::{RecordUsage, UseFeature};
use kana_core::user::UserEdit;
use kana_service::Environment;

use crate::world::{
    World, key, new_user, record, sentence, subscribe, try_use, usage, use_one, used, user, user_id,
};

fn new_id(id: &str) -> UserEdit {
    UserEdit { id: Some(user_id(id)), ..UserEdit::default() }
}

fn named(name: &str) -> UserEdit {
    UserEdit { name: Edit::Set(Label::new("name", name).unwrap()), ..UserEdit::default() }
}

#[tokio::test]
async fn a_new_id_keeps_subscriptions_usage_and_what_keys_have_answered() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let keyed = RecordUsage { delta: 7, idempotency_key: key("recorded"), ..usage() };
    let using = UseFeature { idempotency_key: key("used"), ..use_one() };
    let recorded = record(&test, keyed.clone()).await;
    let granted = try_use(&test, using.clone()).await;
    let before = test.subscriptions(&user_id("124")).await.unwrap().1;

    let renamed = test.update_user(user_id("124"), new_id("125")).await.unwrap();
    assert_eq!(renamed.id, user_id("125"));
    assert_eq!(test.subscriptions(&user_id("125")).await.unwrap().1, before);
    assert_eq!(used(&test, "125").await, 8);
    assert_eq!(sentence(test.user(&user_id("124")).await), "User not found: 124");

    let again = RecordUsage { user: user_id("125"), ..keyed.clone() };
    assert_eq!(record(&test, again).await, recorded);
    let again = UseFeature { user: user_id("125"), ..using };
    assert_eq!(try_use(&test, again).await, granted);
    assert_eq!(used(&test, "125").await, 8);

    // The old id may be another's: the same key is then another's content.
    user(&test, "124").await;
    assert!(
        sentence(test.record_usage(keyed).await).starts_with("idempotencyKey was already used")
    );
    // Everything is so after a restart.
    drop(test);
    let world = world.restart().await;
    assert_eq!(used(&world.test().await, "125").await, 8);
}

#[tokio::test]
async fn of_many_who_take_one_id_exactly_one_gets_it() {
    let world = World::new().await;
    let test = world.test().await;
    for number in 0..10 {
        user(&test, &format!("user-{number}")).await;
    }
    let renaming = (0..10)
        .map(|number| test.update_user(user_id(&format!("user-{number}")), new_id("wanted")));
    let answers = world.together(renaming).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 9));
    for lost in lost {
        assert_eq!(sentence(lost), "A user with the id wanted exists already");
    }
    assert_eq!(world.count("users"), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_take_one_id_on_many_threads_exactly_one_gets_it() {
    let world = World::new().await;
    let test = world.test().await;
    for number in 0..10 {
        user(&test, &format!("user-{number}")).await;
    }
    // Some make a new user of that id meanwhile.
    let taking = (0..20).map(|number| {
        let test = test.clone();
        tokio::spawn(async move {
            if number < 10 {
                let id = user_id(&format!("user-{number}"));
                test.update_user(id, new_id("wanted")).await.is_ok()
            } else {
                test.create_user(new_user("wanted")).await.is_ok()
            }
        })
    });
    let won = join_all(taking).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn commands_around_a_new_id_see_it_in_the_order_in_which_they_were_sent() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let calls = (0..4).map(|step| {
        let test = test.clone();
        async move {
            match step {
                0 => test.record_usage(usage()).await.map(|_| ()),
                1 => test.update_user(user_id("124"), new_id("125")).await.map(|_| ()),
                2 => test.record_usage(usage()).await.map(|_| ()),
                _ => {
                    let usage = RecordUsage { user: user_id("125"), ..usage() };
                    test.record_usage(usage).await.map(|_| ())
                }
            }
        }
    });
    let answers = world.together(calls).await;
    let ok: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, true, false, true]);
    assert_eq!(used(&test, "125").await, 2);
}

#[tokio::test]
async fn two_who_change_places_in_one_batch_keep_what_is_theirs() {
    let world = World::subscribed().await;
    let test = world.test().await;
    user(&test, "125").await;
    let bought = subscribe(&test, "125", "pro").await.unwrap();
    let before = [&test.user(&user_id("124")).await, &test.user(&user_id("125")).await]
        .map(|user| user.as_ref().unwrap().key);
    let calls = (0..6).map(|step| {
        let (test, bought) = (test.clone(), bought.id.to_string());
        let record = |user| RecordUsage { user: user_id(user), ..usage() };
        async move {
            match step {
                0 => test.update_user(user_id("124"), new_id("x")).await.map(|_| ()),
                1 => test.update_user(user_id("125"), new_id("124")).await.map(|_| ()),
                2 => test.update_user(user_id("x"), new_id("125")).await.map(|_| ()),
                3 => test.record_usage(record("125")).await.map(|_| ()),
                // Whoever had another id when the batch began.
                4 => test.cancel_subscription(&bought).await.map(|_| ()),
                _ => test.record_usage(record("x")).await.map(|_| ()),
            }
        }
    });
    let answers = world.together(calls).await;
    let (last, others) = answers.split_last().unwrap();
    assert!(others.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(sentence(last.clone()), "User not found: x");
    let after = [test.user(&user_id("125")).await, test.user(&user_id("124")).await]
        .map(|user| user.unwrap().key);
    assert_eq!(after, before);
    assert_eq!(used(&test, "125").await, 1);
    assert!(test.subscriptions(&user_id("124")).await.unwrap().1[0].ended_at.is_some());
}

#[tokio::test]
async fn an_id_that_is_given_up_and_taken_in_one_batch_is_the_new_users() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let calls = (0..4).map(|step| {
        let test = test.clone();
        async move {
            match step {
                0 => test.create_user(new_user("124")).await,
                1 => test.update_user(user_id("124"), new_id("125")).await,
                2 => test.create_user(new_user("124")).await,
                _ => test.update_user(user_id("125"), new_id("124")).await,
            }
        }
    });
    let taken = "A user with the id 124 exists already";
    let answers: Vec<String> = world
        .together(calls)
        .await
        .into_iter()
        .map(|answer| match answer {
            Ok(user) => user.id.to_string(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(answers, [taken, "125", "124", taken]);
    assert!(test.subscriptions(&user_id("124")).await.unwrap().1.is_empty());
    assert_eq!(test.subscriptions(&user_id("125")).await.unwrap().1.len(), 1);
}

#[tokio::test]
async fn a_user_who_is_made_and_changed_in_one_batch_is_changed() {
    let world = World::new().await;
    let test = world.test().await;
    let calls = (0..3).map(|step| {
        let test = test.clone();
        async move {
            match step {
                0 => test.create_user(new_user("124")).await,
                1 => test.update_user(user_id("124"), named("Ada")).await,
                _ => test.create_user(new_user("125")).await,
            }
        }
    });
    for answer in world.together(calls).await {
        answer.unwrap();
    }
    let stored = test.user(&user_id("124")).await.unwrap();
    assert_eq!(stored.name.as_ref().map(Label::as_str), Some("Ada"));
}

async fn many_users(test: &Environment, from: usize, to: usize) {
    let ids: Vec<usize> = (from..to).collect();
    for some in ids.chunks(10_000) {
        let creating = some.iter().map(|id| test.create_user(new_user(&format!("user-{id}"))));
        assert!(join_all(creating).await.iter().all(Result::is_ok));
    }
}

#[tokio::test]
async fn a_page_costs_the_same_at_the_start_and_at_the_end_of_twenty_thousand_users() {
    let world = World::shop().await;
    let test = world.test().await;
    let (first, _) = world.statements(test.users(None, 100, true)).await;
    assert_eq!(first.unwrap().users.len(), 1);
    let (_, few) = world.statements(test.users(None, 100, true)).await;
    many_users(&test, 1, 20_000).await;
    // Whoever asks first after a commit begins a view.
    test.users(None, 1, false).await.unwrap();
    let mut after = None;
    let mut seen = std::collections::HashSet::new();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    loop {
        let (page, statements) = world.statements(test.users(after, 1000, true)).await;
        let page = page.unwrap();
        with.push(statements);
        without.push(world.statements(test.users(after, 1000, false)).await.1);
        after = page.users.last().map(|(user, _)| user.key);
        for (user, subscriptions) in page.users {
            assert!(subscriptions.is_some());
            assert!(seen.insert(user.id), "twice");
        }
        if !page.has_more {
            break;
        }
    }
    assert_eq!(seen.len(), 20_000);
    assert!(with.iter().all(|statements| *statements == few), "{few} and {with:?}");
    assert!(without.iter().all(|statements| *statements < few), "{without:?}");
}

#[tokio::test]
async fn subscriptions_of_many_users_are_loaded_at_once_and_are_those_of_each() {
    let world = World::shop().await;
    let test = world.test().await;
    many_users(&test, 0, 500).await;
    for number in (0..500).step_by(50) {
        subscribe(&test, &format!("user-{number}"), "basic").await.unwrap();
    }
    test.users(None, 1, true).await.unwrap();
    let (one, statements_of_one) = world.statements(test.users(None, 1, true)).await;
    assert!(one.unwrap().has_more);
    let (all, statements) = world.statements(test.users(None, 10_000, true)).await;
    assert_eq!(statements, statements_of_one);
    let mut subscribed = 0;
    for (user, subscriptions) in all.unwrap().users {
        let subscriptions = subscriptions.unwrap();
        subscribed += subscriptions.len();
        assert_eq!(subscriptions, test.subscriptions(&user.id).await.unwrap().1);
    }
    assert_eq!(subscribed, 10);
}
