use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::timing::Timing;

use crate::Engine;
use crate::world::{
    World, by_id, cancel, cancelled, create_user, quantities, set_quantities, set_timing,
    subscribe, subscription, subscription_id, time, user_id, user_ids, user_key,
};

const EVERY_STATUS: [SubscriptionStatus; 7] = [
    SubscriptionStatus::Active,
    SubscriptionStatus::Trialing,
    SubscriptionStatus::Cancelled,
    SubscriptionStatus::PastDue,
    SubscriptionStatus::Unpaid,
    SubscriptionStatus::Incomplete,
    SubscriptionStatus::IncompleteExpired,
];

pub(crate) async fn a_new_user_has_no_subscriptions<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    assert_eq!(world.running(world.test, "124").await, []);
    assert_eq!(world.ended(world.test, user_key(1)).await, []);
}

pub(crate) async fn what_runs_stands_in_the_facts_and_what_has_ended_does_not<E: Engine>() {
    let world = World::<E>::new().await;
    let [first, second, third] = [1, 2, 3].map(subscription_id);
    world
        .change(
            world.test,
            user_key(1),
            [
                create_user(user_key(1), "124"),
                subscribe(first, "free"),
                subscribe(second, "pro"),
                subscribe(third, "boost"),
                cancel(first, "2024-02-01T00:00:00.001Z"),
            ],
        )
        .await;

    let running = world.running(world.test, "124").await;
    assert_eq!(running, [subscription(second, "pro"), subscription(third, "boost")]);
    let ended = world.ended(world.test, user_key(1)).await;
    assert_eq!(ended, [cancelled(subscription(first, "free"), "2024-02-01T00:00:00.001Z")]);
}

pub(crate) async fn cancelling_ends_one_subscription_and_no_other<E: Engine>() {
    let world = World::<E>::new().await;
    let [first, second] = [1, 2].map(subscription_id);
    let start =
        [create_user(user_key(1), "124"), subscribe(first, "pro"), subscribe(second, "pro")];
    world.change(world.test, user_key(1), start).await;

    world.change(world.test, user_key(1), [cancel(second, "2024-02-01T00:00:00Z")]).await;

    assert_eq!(world.running(world.test, "124").await, [subscription(first, "pro")]);
    let ended = world.ended(world.test, user_key(1)).await;
    assert_eq!(ended, [cancelled(subscription(second, "pro"), "2024-02-01T00:00:00Z")]);
}

pub(crate) async fn a_subscription_is_cancelled_under_the_key_of_its_own_user_only<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = [create_user(user_key(1), "ada"), subscribe(subscription_id(1), "pro")];
    world.change(world.test, user_key(1), ada).await;
    world.change(world.test, user_key(2), [create_user(user_key(2), "bob")]).await;

    // No rule asks for this; it shows that a user's key is part of every change.
    let changes = [cancel(subscription_id(1), "2024-02-01T00:00:00Z")];
    world.change(world.test, user_key(2), changes).await;

    let running = world.running(world.test, "ada").await;
    assert_eq!(running, [subscription(subscription_id(1), "pro")]);
}

pub(crate) async fn a_subscription_can_be_added_after_its_end<E: Engine>() {
    let world = World::<E>::new().await;
    let past = cancelled(subscription(subscription_id(1), "pro"), "2024-02-01T00:00:00Z");
    let changes = [create_user(user_key(1), "124"), Change::AddSubscription(past.clone())];
    world.change(world.test, user_key(1), changes).await;

    assert_eq!(world.running(world.test, "124").await, []);
    assert_eq!(world.ended(world.test, user_key(1)).await, [past]);
}

pub(crate) async fn every_status_is_kept<E: Engine>() {
    let world = World::<E>::new().await;
    let with_every_status = |first: u16, ended_at: Option<Timestamp>| -> Vec<Subscription> {
        (first..)
            .zip(EVERY_STATUS)
            .map(|(n, status)| Subscription {
                status,
                ended_at,
                ..subscription(subscription_id(n), "pro")
            })
            .collect()
    };
    let running = with_every_status(1, None);
    let ended = with_every_status(101, Some(time("2024-02-01T00:00:00Z")));
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    let all = running.iter().chain(&ended).cloned().map(Change::AddSubscription);
    world.change(world.test, user_key(1), all).await;

    assert_eq!(world.running(world.test, "124").await, running);
    assert_eq!(world.ended(world.test, user_key(1)).await, ended);
}

pub(crate) async fn instants_are_kept_to_the_millisecond<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    let instants = [
        Timestamp::MIN,
        time("1969-12-31T23:59:59.999Z"),
        time("1970-01-01T00:00:00.000Z"),
        time("2024-02-29T12:34:56.789Z"),
        Timestamp::MAX,
    ];
    let subscriptions: Vec<_> = (1..)
        .zip(instants)
        .map(|(n, at)| Subscription {
            started_at: at,
            ended_at: Some(at),
            ..subscription(subscription_id(n), "pro")
        })
        .collect();
    let all = subscriptions.iter().cloned().map(Change::AddSubscription);
    world.change(world.test, user_key(1), all).await;

    assert_eq!(world.ended(world.test, user_key(1)).await, subscriptions);
}

pub(crate) async fn a_subscription_is_found_by_its_id_with_its_owner<E: Engine>() {
    let world = World::<E>::new().await;
    let [running, ended] = [1, 2].map(subscription_id);
    let ada = [
        create_user(user_key(1), "ada"),
        subscribe(running, "pro"),
        subscribe(ended, "free"),
        cancel(ended, "2024-02-01T00:00:00Z"),
    ];
    world.change(world.test, user_key(1), ada).await;

    assert_eq!(
        world.subscriptions(world.test, &[running]).await,
        [Some((user_id("ada"), subscription(running, "pro")))]
    );
    let past = cancelled(subscription(ended, "free"), "2024-02-01T00:00:00Z");
    assert_eq!(world.subscriptions(world.test, &[ended]).await, [Some((user_id("ada"), past))]);
    assert_eq!(world.subscriptions(world.test, &[subscription_id(3)]).await, [None]);
    assert_eq!(world.subscriptions(world.test, &[]).await, []);
}

pub(crate) async fn subscriptions_stand_in_the_order_in_which_they_were_asked_for<E: Engine>() {
    let world = World::<E>::new().await;
    let [first, second, third, unknown] = [1, 2, 3, 4].map(subscription_id);
    let ada = [create_user(user_key(1), "ada"), subscribe(first, "pro"), subscribe(third, "boost")];
    world.change(world.test, user_key(1), ada).await;
    let bob = [create_user(user_key(2), "bob"), subscribe(second, "free")];
    world.change(world.test, user_key(2), bob).await;

    let found = world.subscriptions(world.test, &[third, unknown, second, third, first]).await;
    let [adas_third, adas_first] = [(third, "boost"), (first, "pro")]
        .map(|(id, package)| Some((user_id("ada"), subscription(id, package))));
    let bobs = Some((user_id("bob"), subscription(second, "free")));
    assert_eq!(found, [adas_third.clone(), None, bobs, adas_third, adas_first]);
}

pub(crate) async fn users_do_not_share_subscriptions<E: Engine>() {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "ada"), (2, "bob")] {
        let [running, ended] = [n, 10 + n].map(subscription_id);
        let changes = [
            create_user(user_key(n), id),
            subscribe(running, id),
            subscribe(ended, id),
            cancel(ended, "2024-02-01T00:00:00Z"),
        ];
        world.change(world.test, user_key(n), changes).await;
    }

    for (n, id) in [(1, "ada"), (2, "bob")] {
        let [running, ended] = [n, 10 + n].map(subscription_id);
        assert_eq!(world.running(world.test, id).await, [subscription(running, id)]);
        let past = cancelled(subscription(ended, id), "2024-02-01T00:00:00Z");
        assert_eq!(world.ended(world.test, user_key(n)).await, [past]);
    }
}

pub(crate) async fn facts_of_many_users_stand_in_the_order_in_which_they_were_asked_for<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    let ada = [
        create_user(user_key(1), "ada"),
        subscribe(subscription_id(1), "pro"),
        subscribe(subscription_id(2), "boost"),
    ];
    world.change(world.test, user_key(1), ada).await;
    world.change(world.test, user_key(2), [create_user(user_key(2), "bob")]).await;
    let carol = [create_user(user_key(3), "carol"), subscribe(subscription_id(3), "free")];
    world.change(world.test, user_key(3), carol).await;

    let asked = user_ids(["carol", "nobody", "ada", "bob", "carol"]);
    let facts = world.facts(world.test, &asked).await.users;
    let running: Vec<_> = facts
        .into_iter()
        .map(|facts| facts.map(|facts| by_id(facts.subscriptions().to_vec())))
        .collect();

    let carols = vec![subscription(subscription_id(3), "free")];
    let adas =
        vec![subscription(subscription_id(1), "pro"), subscription(subscription_id(2), "boost")];
    assert_eq!(running, [Some(carols.clone()), None, Some(adas), Some(Vec::new()), Some(carols)]);
}

pub(crate) async fn ended_subscriptions_stand_in_the_order_in_which_users_were_asked_for<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "ada"), (2, "bob"), (3, "carol")] {
        let changes = [create_user(user_key(n), id), subscribe(subscription_id(n), id)];
        world.change(world.test, user_key(n), changes).await;
    }
    for n in [1, 3] {
        let changes = [cancel(subscription_id(n), "2024-02-01T00:00:00Z")];
        world.change(world.test, user_key(n), changes).await;
    }

    // The second still runs, and there is no fourth user.
    let asked = [3, 4, 1, 2, 3].map(user_key);
    let mut reader = world.store.read().await.unwrap();
    let ended = reader.ended_subscriptions(world.test, &asked).await.unwrap();
    let past =
        |n, id| vec![cancelled(subscription(subscription_id(n), id), "2024-02-01T00:00:00Z")];
    let (adas, carols) = (past(1, "ada"), past(3, "carol"));
    assert_eq!(ended, [carols.clone(), Vec::new(), adas, Vec::new(), carols]);
}

pub(crate) async fn a_user_can_have_many_subscriptions<E: Engine>() {
    let world = World::<E>::new().await;
    let running: Vec<_> = (1..=200).map(|n| subscription(subscription_id(n), "pro")).collect();
    let start = std::iter::once(create_user(user_key(1), "124"))
        .chain(running.iter().cloned().map(Change::AddSubscription));
    world.change(world.test, user_key(1), start).await;

    assert_eq!(world.running(world.test, "124").await, running);

    let end = (1..=199).map(|n| cancel(subscription_id(n), "2024-02-01T00:00:00Z"));
    world.change(world.test, user_key(1), end).await;

    assert_eq!(world.running(world.test, "124").await, running[199..]);
    assert_eq!(world.ended(world.test, user_key(1)).await.len(), 199);
}

pub(crate) async fn quantities_are_kept_with_what_there_was_before<E: Engine>() {
    let world = World::<E>::new().await;
    let [first, second, third] = [1, 2, 3].map(subscription_id);
    let many: Vec<i64> = (1..=30).chain([1_000_000]).collect();
    let with =
        |id, all: &[i64]| Subscription { quantities: quantities(all), ..subscription(id, "pro") };
    let start = [
        create_user(user_key(1), "124"),
        // Added with one, and without; changed in the same batch, and later.
        Change::AddSubscription(with(first, &[3])),
        subscribe(second, "pro"),
        subscribe(third, "pro"),
        set_quantities(second, &quantities(&[1, 2])),
    ];
    world.change(world.test, user_key(1), start).await;
    let now = [with(first, &[3]), with(second, &[1, 2]), subscription(third, "pro")];
    assert_eq!(world.running(world.test, "124").await, now);

    let changes = [
        set_quantities(first, &quantities(&[3, 4])),
        set_quantities(third, &quantities(&many)),
        set_quantities(second, &quantities(&[1, 2, 1])),
        cancel(second, "2024-02-01T00:00:00Z"),
        // The last one counts.
        set_quantities(first, &quantities(&[3, 4, 5])),
    ];
    world.change(world.test, user_key(1), changes).await;
    let now = [with(first, &[3, 4, 5]), with(third, &many)];
    assert_eq!(world.running(world.test, "124").await, now);
    assert_eq!(now[1].quantities.changes().len(), 24);
    let past = cancelled(with(second, &[1, 2, 1]), "2024-02-01T00:00:00Z");
    assert_eq!(world.ended(world.test, user_key(1)).await, std::slice::from_ref(&past));

    // Every call that reads a subscription reads them, too.
    let owned = |one: &Subscription| Some((user_id("124"), one.clone()));
    let found = world.subscriptions(world.test, &[first, second, third]).await;
    assert_eq!(found, [owned(&now[0]), owned(&past), owned(&now[1])]);
    let mut reader = world.store.read().await.unwrap();
    let all = reader.subscriptions_of(world.test, &[user_key(1)]).await.unwrap().remove(0);
    assert_eq!(by_id(all), [now[0].clone(), past.clone(), now[1].clone()]);
    let (page, rest) =
        (reader.subscriptions_after(world.test, None, 2).await.unwrap(), now[0].clone());
    let ids: Vec<_> = page.iter().map(|(_, one)| (one.id, one.quantities.clone())).collect();
    assert_eq!(ids, [(third, quantities(&many)), (second, quantities(&[1, 2, 1]))]);
    let after = Some((past.started_at, second));
    let page = reader.subscriptions_after(world.test, after, 9).await.unwrap();
    assert_eq!(page, [(user_id("124"), rest)]);
}

pub(crate) async fn timings_are_kept_with_the_subscription<E: Engine>() {
    let world = World::<E>::new().await;
    let [first, second, third] = [1, 2, 3].map(subscription_id);
    let at = |text| Some(time(text));
    let ahead = Timing { starts_ahead: true, ..Timing::NONE };
    let ends = Timing {
        end_asked: at("2024-06-01T00:00:00Z"),
        end: at("2024-05-01T00:00:00.001Z"),
        ..Timing::NONE
    };
    let anchored_at = at("2023-12-31T23:59:59.999Z");
    let trial_ends_at = at("2024-04-01T00:00:00Z");
    let all = Timing { starts_ahead: true, trial_ends_at, anchored_at, ..ends };
    let with = |id, timing| Subscription { timing, ..subscription(id, "pro") };
    let start = [
        create_user(user_key(1), "124"),
        // Added with one, and without; changed in the same batch, and later.
        Change::AddSubscription(with(first, all)),
        subscribe(second, "pro"),
        subscribe(third, "pro"),
        set_timing(second, ahead),
    ];
    world.change(world.test, user_key(1), start).await;
    let now = [with(first, all), with(second, ahead), subscription(third, "pro")];
    assert_eq!(world.running(world.test, "124").await, now);

    let many = quantities(&[1, 2]);
    let changes = [
        set_timing(first, Timing::NONE),
        set_timing(third, ends),
        set_quantities(third, &many),
        set_timing(second, all),
        cancel(second, "2024-02-01T00:00:00Z"),
        // The last one counts.
        set_timing(third, all),
    ];
    world.change(world.test, user_key(1), changes).await;
    let both = Subscription { quantities: many, ..with(third, all) };
    let now = [subscription(first, "pro"), both];
    assert_eq!(world.running(world.test, "124").await, now);
    let past = cancelled(with(second, all), "2024-02-01T00:00:00Z");
    assert_eq!(world.ended(world.test, user_key(1)).await, std::slice::from_ref(&past));

    // Every call that reads a subscription reads them, too.
    let owned = |one: &Subscription| Some((user_id("124"), one.clone()));
    let found = world.subscriptions(world.test, &[first, second, third]).await;
    assert_eq!(found, [owned(&now[0]), owned(&past), owned(&now[1])]);
    let mut reader = world.store.read().await.unwrap();
    let read = reader.subscriptions_of(world.test, &[user_key(1)]).await.unwrap().remove(0);
    assert_eq!(by_id(read), [now[0].clone(), past, now[1].clone()]);
    let page = reader.subscriptions_after(world.test, None, 1).await.unwrap();
    assert_eq!(page, [(user_id("124"), now[1].clone())]);
}

pub(crate) async fn a_quantity_is_set_under_the_key_of_its_own_user_only<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = [create_user(user_key(1), "ada"), subscribe(subscription_id(1), "pro")];
    world.change(world.test, user_key(1), ada).await;
    world.change(world.test, user_key(2), [create_user(user_key(2), "bob")]).await;
    // No rule asks for this.
    let changes = [set_quantities(subscription_id(1), &quantities(&[9]))];
    world.change(world.test, user_key(2), changes.clone()).await;
    let mut writer = world.store.write().await.unwrap();
    let live = changes.into_iter().map(|change| (user_key(1), change)).collect::<Vec<_>>();
    writer.change_facts(world.live, &live).await.unwrap();
    writer.commit().await.unwrap();
    let running = world.running(world.test, "ada").await;
    assert_eq!(running, [subscription(subscription_id(1), "pro")]);
}
