//! Lists in pages, and many users at once.

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::id::{SubscriptionId, UserKey};
use kana_core::subscription::Subscription;
use kana_core::user::User;
use kana_store::EnvironmentId;

use crate::Engine;
use crate::world::{
    World, by_id, cancelled, create_user, subscription, subscription_id, time, user, user_key,
};

async fn users_page<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    after: Option<UserKey>,
    limit: usize,
) -> Vec<User> {
    world.store.read().await.unwrap().users_after(environment, after, limit).await.unwrap()
}

async fn subscriptions_page<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    after: Option<(Timestamp, SubscriptionId)>,
    limit: usize,
) -> Vec<(String, Subscription)> {
    let mut reader = world.store.read().await.unwrap();
    let page = reader.subscriptions_after(environment, after, limit).await.unwrap();
    page.into_iter().map(|(user, known)| (user.as_str().to_owned(), known)).collect()
}

pub(crate) async fn users_are_listed_in_order_of_creation_whatever_their_ids<E: Engine>() {
    let world = World::<E>::new().await;
    assert_eq!(users_page(&world, world.test, None, 10).await, []);
    // Stored in another order than the one in which their keys were made.
    for (n, id) in [(2, "m"), (1, "z"), (3, "a")] {
        world.change(world.test, user_key(n), [create_user(user_key(n), id)]).await;
    }
    let expected = [(1, "z"), (2, "m"), (3, "a")].map(|(n, id)| user(user_key(n), id));
    assert_eq!(users_page(&world, world.test, None, 10).await, expected);
}

pub(crate) async fn pages_of_users_have_no_gap_and_no_overlap<E: Engine>() {
    let world = World::<E>::new().await;
    for n in 1..=23 {
        world.change(world.test, user_key(n), [create_user(user_key(n), &n.to_string())]).await;
    }
    let all = users_page(&world, world.test, None, 100).await;
    assert_eq!(all.len(), 23);
    for limit in [1, 2, 7, 22, 23, 24] {
        let mut paged = Vec::new();
        loop {
            let after = paged.last().map(|user: &User| user.key);
            let page = users_page(&world, world.test, after, limit).await;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all, "{limit}");
    }
    assert_eq!(users_page(&world, world.test, None, 0).await, []);
    // A page may start after a key that nobody has.
    assert_eq!(users_page(&world, world.test, Some(user_key(0)), 1).await, all[..1]);
    assert_eq!(users_page(&world, world.test, Some(user_key(999)), 1).await, []);
}

/// Two who started at once, one before and one after, one of them ended; ids in another order.
async fn four_subscriptions<E: Engine>(world: &World<E>) -> Vec<(String, Subscription)> {
    let mut all = Vec::new();
    for (n, id, start) in [
        (1, "ada", "2024-01-05T00:00:00.000Z"),
        (2, "bob", "2024-01-01T00:00:00.000Z"),
        (3, "ada", "2024-01-05T00:00:00.000Z"),
        (4, "bob", "1969-01-03T00:00:00.000Z"),
    ] {
        let key = user_key(if id == "ada" { 1 } else { 2 });
        if n <= 2 {
            world.change(world.test, key, [create_user(key, id)]).await;
        }
        let mut known = subscription(subscription_id(n), "pro");
        known.started_at = time(start);
        if n == 2 {
            known = cancelled(known, "2024-02-01T00:00:00.000Z");
        }
        world.change(world.test, key, [Change::AddSubscription(known.clone())]).await;
        all.push((id.to_owned(), known));
    }
    [2, 0, 1, 3].map(|index: usize| all[index].clone()).to_vec()
}

pub(crate) async fn subscriptions_are_listed_newest_first_by_start_then_by_creation<E: Engine>() {
    let world = World::<E>::new().await;
    let expected = four_subscriptions(&world).await;
    assert_eq!(subscriptions_page(&world, world.test, None, 10).await, expected);
}

pub(crate) async fn pages_of_subscriptions_have_no_gap_and_no_overlap<E: Engine>() {
    let world = World::<E>::new().await;
    let expected = four_subscriptions(&world).await;
    for limit in 1..=5 {
        let mut paged: Vec<(String, Subscription)> = Vec::new();
        loop {
            let after = paged.last().map(|(_, known)| (known.started_at, known.id));
            let page = subscriptions_page(&world, world.test, after, limit).await;
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, expected, "{limit}");
    }
}

pub(crate) async fn subscriptions_of_many_users_stand_in_the_order_of_the_users<E: Engine>() {
    let world = World::<E>::new().await;
    four_subscriptions(&world).await;
    world.change(world.test, user_key(3), [create_user(user_key(3), "carol")]).await;
    let asked = [2, 3, 1, 9, 2].map(user_key);
    let mut reader = world.store.read().await.unwrap();
    let found = reader.subscriptions_of(world.test, &asked).await.unwrap();
    let ids: Vec<Vec<SubscriptionId>> = found
        .into_iter()
        .map(|theirs| by_id(theirs).iter().map(|known| known.id).collect())
        .collect();
    let numbered = |numbers: &[u16]| numbers.iter().copied().map(subscription_id).collect();
    let expected: [Vec<SubscriptionId>; 5] =
        [numbered(&[2, 4]), numbered(&[]), numbered(&[1, 3]), numbered(&[]), numbered(&[2, 4])];
    assert_eq!(ids, expected);
    assert!(reader.subscriptions_of(world.test, &[]).await.unwrap().is_empty());
}

pub(crate) async fn subscriptions_of_a_thousand_users_are_found_at_once<E: Engine>() {
    let world = World::<E>::new().await;
    let mut changes = Vec::new();
    for n in 1..=1500 {
        changes.push((user_key(n), create_user(user_key(n), &n.to_string())));
        let known = subscription(subscription_id(n), "pro");
        changes.push((user_key(n), Change::AddSubscription(known)));
    }
    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &changes).await.unwrap();
    writer.commit().await.unwrap();
    let asked: Vec<UserKey> = (1..=1500).rev().map(user_key).collect();
    let mut reader = world.store.read().await.unwrap();
    let found = reader.subscriptions_of(world.test, &asked).await.unwrap();
    for (theirs, n) in found.into_iter().zip((1..=1500).rev()) {
        assert_eq!(theirs, [subscription(subscription_id(n), "pro")]);
    }
}

pub(crate) async fn lists_of_one_environment_have_nothing_of_the_other<E: Engine>() {
    let world = World::<E>::new().await;
    four_subscriptions(&world).await;
    assert_eq!(users_page(&world, world.live, None, 10).await, []);
    assert_eq!(subscriptions_page(&world, world.live, None, 10).await, []);
    let mut reader = world.store.read().await.unwrap();
    assert_eq!(reader.subscriptions_of(world.live, &[user_key(1)]).await.unwrap(), [vec![]]);
}
