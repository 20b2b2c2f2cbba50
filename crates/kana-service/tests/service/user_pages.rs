//! What the dashboard shows of one user, and of the subscribers of packages.

use kana_core::entitlement::Reason;
use kana_core::usage::RecordUsage;
use kana_core::{Refusal, Timestamp};
use kana_service::{Error, EventCursor, UserEvent};

use crate::world::{
    NOW, World, consumable, feature_id, key, package_id, record, subscribe, time, usage, user,
    user_id,
};

#[tokio::test]
async fn a_user_is_shown_as_can_use_feature_and_show_usage_answer() {
    let world = World::shop().await;
    let test = world.test().await;
    test.create_feature(consumable("unused")).await.unwrap();
    let ended = subscribe(&test, "124", "pro").await.unwrap();
    test.cancel_subscription(&ended.id.to_string()).await.unwrap();
    subscribe(&test, "124", "basic").await.unwrap();
    record(&test, RecordUsage { delta: 100, ..usage() }).await;

    let api_calls = feature_id("api-calls");
    let shown = test.user_overview(&user_id("124"), Some(api_calls.clone())).await.unwrap();
    assert_eq!(shown.user.id, user_id("124"));
    let (_, subscriptions) = test.subscriptions(&user_id("124")).await.unwrap();
    assert_eq!((shown.subscriptions.len(), shown.has_more_subscriptions), (2, false));
    assert_eq!(shown.subscriptions, subscriptions);
    let usage = test.show_usage(&user_id("124"), &api_calls).await.unwrap();
    assert_eq!(shown.usage, Some((api_calls, usage)));
    assert_eq!(shown.entitlements.len(), shown.catalog.features().count());
    for of in &shown.entitlements {
        let answer = test.can_use_feature(&user_id("124"), &of.feature, 1).await.unwrap();
        assert_eq!(of.entitlement, answer, "{}", of.feature);
    }
    let [calls, unused] = &shown.entitlements[..] else { panic!("{shown:?}") };
    assert_eq!(calls.entitlement.reason, Reason::LimitReached);
    assert_eq!(calls.resets_at, Some(time("2024-02-15T12:00:00.000Z")));
    assert_eq!((unused.entitlement.reason, unused.resets_at), (Reason::NotGranted, None));

    let without = test.user_overview(&user_id("124"), None).await.unwrap();
    assert_eq!(without.usage, shown.usage, "of the first that is counted");
    let nobody = test.user_overview(&user_id("nobody"), None).await;
    assert!(matches!(nobody, Err(Error::Refused(Refusal::UserNotFound(_)))));
    let nothing = test.user_overview(&user_id("124"), Some(feature_id("nothing"))).await;
    assert!(matches!(nothing, Err(Error::Refused(Refusal::FeatureNotFound(_)))));
}

#[tokio::test]
async fn the_events_of_a_user_say_under_which_package_they_were_counted() {
    let world = World::shop().await;
    let test = world.test().await;
    user(&test, "125").await;
    record(&test, usage()).await;
    let ended = subscribe(&test, "124", "basic").await.unwrap();
    record(&test, RecordUsage { delta: 2, idempotency_key: key("k"), ..usage() }).await;
    record(&test, RecordUsage { user: user_id("125"), ..usage() }).await;
    test.cancel_subscription(&ended.id.to_string()).await.unwrap();
    subscribe(&test, "124", "pro").await.unwrap();
    record(&test, RecordUsage { delta: 3, ..usage() }).await;

    let shown = |found: &[UserEvent]| -> Vec<(i64, Option<String>, bool)> {
        let row = |UserEvent { event, package }: &UserEvent| {
            let package = package.as_ref().map(ToString::to_string);
            (event.delta, package, event.idempotency_key.is_some())
        };
        found.iter().map(row).collect()
    };
    let all = test.user_events(&user_id("124"), None, 50).await.unwrap();
    let (pro, basic) = (Some("pro".to_owned()), Some("basic".to_owned()));
    let expected = [(3, pro, false), (2, basic, true), (1, None, false)];
    assert_eq!(shown(&all.events), expected);
    assert_eq!((all.user.id, all.looked_back_to, all.next), (user_id("124"), None, None));

    let first = test.user_events(&user_id("124"), None, 2).await.unwrap();
    assert_eq!(shown(&first.events), expected[..2]);
    let next = EventCursor::parse(&first.next.unwrap().to_string());
    let rest = test.user_events(&user_id("124"), next, 2).await.unwrap();
    assert_eq!((shown(&rest.events), rest.next), (expected[2..].to_vec(), None));

    let live = world.live().await.user_events(&user_id("124"), None, 50).await;
    assert!(matches!(live, Err(Error::Refused(Refusal::UserNotFound(_)))));
}

#[tokio::test]
async fn numbers_of_subscribers_are_at_most_ten_seconds_old() {
    let world = World::shop().await;
    let test = world.test().await;
    let packages = ["pro", "basic", "pro"].map(package_id);
    assert_eq!(test.recent_subscribers(&packages).await.unwrap(), [0, 0, 0]);
    subscribe(&test, "124", "pro").await.unwrap();
    let later = |ms| world.clock.set(Timestamp::from_ms(time(NOW).as_ms() + ms));
    later(5_000);
    let (recent, statements) = world.statements(test.recent_subscribers(&packages)).await;
    assert_eq!((recent.unwrap(), statements), (vec![0, 0, 0], 0));
    assert_eq!(test.count_subscribers(&packages).await.unwrap(), [1, 0, 1]);
    later(10_001);
    assert_eq!(test.recent_subscribers(&packages).await.unwrap(), [1, 0, 1]);
    // Those of the other environment are others.
    assert_eq!(world.live().await.recent_subscribers(&packages).await.unwrap(), [0, 0, 0]);
    // A clock that went back says nothing of their age.
    test.cancel_subscription(
        &test.subscriptions(&user_id("124")).await.unwrap().1[0].id.to_string(),
    )
    .await
    .unwrap();
    later(-60_000);
    assert_eq!(test.recent_subscribers(&packages).await.unwrap(), [0, 0, 0]);
}

#[tokio::test]
async fn numbers_that_are_asked_for_at_once_are_counted_once() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let packages = [package_id("basic")];
    let asking = (0..20).map(|_| test.recent_subscribers(&packages));
    let asking = futures_util::future::join_all(asking);
    let (answers, statements) = world.statements(asking).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == [1]));
    // A snapshot that ends, one that begins and reads where it is, and the count.
    assert!(statements <= 4, "{statements}");
}
