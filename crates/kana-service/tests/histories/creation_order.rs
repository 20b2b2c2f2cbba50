//! Lists are ordered by creation, also of what was made at the same time.
//!
//! A user's key and a subscription's id, by which lists are ordered, are chosen when the command has
//! its turn. Chosen on the way there, where commands overtake each other, what is made later could
//! have the smaller one, and whoever follows a list would never see it.

use std::sync::{Arc, Barrier};

use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_core::id::{PackageId, UserId};
use kana_core::user::User;
use kana_service::{Environment, Kana, ManualClock, init};

use crate::concurrency::threads;
use crate::engine::{Engine, Sqlite};
use crate::plan::START;
use kana_test_model::client::ask;
use kana_test_model::request::{BASIC, CALLS, EXTRA, NewPackage, Request};

async fn create_user(kana: &Environment, id: String) -> UserId {
    let id = UserId::new("user", &id).unwrap();
    kana.create_user(User::named(id.clone())).await.unwrap();
    id
}

async fn with_kana<F: Future<Output = ()>>(story: impl FnOnce(Environment) -> F) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(START.0)));
    let database = Sqlite::empty().await;
    let store = Sqlite::open(&database).await;
    let keys = init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
    let kana = Kana::start(store, clock).unwrap();
    story(kana.authorise_private(keys.test_private.reveal()).await.unwrap()).await;
    kana.finish().await;
}

#[test]
fn whoever_follows_the_list_of_users_sees_each_of_them() {
    const CREATING: usize = 8;
    const EACH: usize = 500;
    threads().block_on(with_kana(async |kana| {
        let creating: Vec<_> = (0..CREATING)
            .map(|task| {
                let kana = kana.clone();
                tokio::spawn(async move {
                    for number in 0..EACH {
                        create_user(&kana, format!("{task}-{number}")).await;
                    }
                })
            })
            .collect();
        let (mut seen, mut last) = (0, None);
        loop {
            let all_are_made = creating.iter().all(tokio::task::JoinHandle::is_finished);
            let page = kana.users(last, 100, false).await.unwrap();
            seen += page.users.len();
            last = page.users.last().map(|(user, _)| user.key).or(last);
            if all_are_made && page.users.is_empty() {
                break;
            }
        }
        assert_eq!(seen, CREATING * EACH);
    }));
}

#[test]
fn an_addon_is_listed_as_newer_than_the_base_that_it_was_added_to() {
    threads().block_on(with_kana(async |kana| {
        ask(&kana, &Request::CreateFeature { feature: CALLS, binary: false }).await;
        for (package, addon) in [(BASIC, false), (EXTRA, true)] {
            let features = vec![(CALLS, None)];
            let new = NewPackage { package, addon, bases: vec![], features };
            ask(&kana, &Request::CreatePackage(new)).await;
            ask(&kana, &Request::PublishPackage(package)).await;
        }
        for round in 0..1000 {
            let user = create_user(&kana, round.to_string()).await;
            let at_once = Arc::new(Barrier::new(2));
            let subscribing = [BASIC, EXTRA].map(|package| {
                let (kana, user, at_once) = (kana.clone(), user.clone(), Arc::clone(&at_once));
                tokio::spawn(async move {
                    at_once.wait();
                    let packages = vec![PackageId::new("package", package).unwrap()];
                    kana.subscribe(user, packages, None).await.is_ok()
                })
            });
            let made = join_all(subscribing).await;
            // Where both were made, the base was there first, without which there is no add-on.
            if made.into_iter().all(Result::unwrap) {
                let (_, newest_first) = kana.subscriptions(&user).await.unwrap();
                assert_eq!(newest_first[0].package.as_str(), EXTRA, "in round {round}");
            }
        }
    }));
}
