//! Who has a package at an instant: the store counts, lists and finds those whom the rule says.

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::id::UserKey;
use kana_core::subscription::{AsOf, Subscription, SubscriptionStatus};
use kana_core::timing::Timing;

use crate::Engine;
use crate::world::{
    BEGINNING, World, create_user, package_id, set_timing, subscription, subscription_id, time,
    user_key,
};

/// An instant of these stories, which begin and end within a few milliseconds.
fn at(ms: i64) -> Timestamp {
    time(BEGINNING).saturating_add_ms(ms)
}

/// Subscriptions of each kind: those that have begun and have no end, those that are set to begin or to end, those
/// that another node's clock has begun, and those that grant nothing.
fn kinds() -> Vec<Subscription> {
    let active = || subscription(subscription_id(0), "pro");
    let timed = |started_at: i64, timing: Timing| Subscription {
        started_at: at(started_at),
        timing,
        ..active()
    };
    let begins = Timing { starts_ahead: true, ..Timing::NONE };
    let ends = |ms| Timing { end: Some(at(ms)), ..Timing::NONE };
    let trial = Timing { trial_ends_at: Some(at(2)), ..Timing::NONE };
    vec![
        active(),
        timed(5, Timing::NONE),
        timed(0, trial),
        timed(0, Timing { anchored_at: Some(at(-9)), ..Timing::NONE }),
        timed(1, begins),
        timed(0, Timing { end_asked: Some(at(4)), ..ends(2) }),
        timed(3, Timing { starts_ahead: true, ..ends(5) }),
        timed(2, Timing { starts_ahead: true, ..ends(2) }),
        Subscription { status: SubscriptionStatus::Trialing, ..timed(0, ends(3)) },
        Subscription { status: SubscriptionStatus::PastDue, ..timed(1, begins) },
        Subscription {
            status: SubscriptionStatus::Cancelled,
            ended_at: Some(at(1)),
            ..timed(0, ends(5))
        },
        Subscription { package: package_id("other"), ..timed(0, ends(3)) },
    ]
}

/// Compares the answers about each instant with the rule.
async fn check<E: Engine>(world: &World<E>, all: &[(UserKey, Vec<Subscription>)]) {
    let pro = package_id("pro");
    let users: Vec<UserKey> = all.iter().map(|(user, _)| *user).collect();
    let mut reader = world.store.read().await.unwrap();
    for now in (-1..7).map(at) {
        let has = |of_user: &[Subscription]| {
            let mut of_pro = of_user.iter().filter(|one| one.package == pro);
            of_pro.any(|one| one.grants_as_of(AsOf::Now(now)))
        };
        let expected: Vec<bool> = all.iter().map(|(_, of_user)| has(of_user)).collect();
        let are = reader.are_subscribed(world.test, &pro, now, &users).await.unwrap();
        assert_eq!(are, expected, "{now}");
        let those = users.iter().zip(&expected).filter(|(_, has)| **has).map(|(user, _)| *user);
        let those: Vec<UserKey> = those.collect();
        let mut listed: Vec<UserKey> = Vec::new();
        loop {
            let after = listed.last().copied();
            let page = reader.subscribers_after(world.test, &pro, now, after, 25).await.unwrap();
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, those, "{now}");
        let asked = [pro.clone(), package_id("nope")];
        let counted = reader.active_subscribers(world.test, &asked, now).await.unwrap();
        assert_eq!(counted, [u64::try_from(those.len()).unwrap(), 0], "{now}");
        assert_eq!(reader.active_subscribers(world.live, &asked, now).await.unwrap(), [0, 0]);
    }
}

pub(crate) async fn whoever_a_subscription_grants_something_at_the_instant_is_a_subscriber<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    let kinds = kinds();
    // Users with each two of them: one stretch after another, side by side, or only one of them counts.
    let pairs = kinds.iter().flat_map(|one| kinds.iter().map(move |other| [one, other]));
    let mut all: Vec<(UserKey, Vec<Subscription>)> = Vec::new();
    for (n, pair) in (1..).zip(pairs) {
        let with_id = |(id, one): (u16, &Subscription)| Subscription {
            id: subscription_id(id),
            ..one.clone()
        };
        let of_user: Vec<_> = [2 * n, 2 * n + 1].into_iter().zip(pair).map(with_id).collect();
        let create = create_user(user_key(n), &format!("user {n}"));
        let add = of_user.iter().cloned().map(Change::AddSubscription);
        world.change(world.test, user_key(n), std::iter::once(create).chain(add)).await;
        all.push((user_key(n), of_user));
    }
    check(&world, &all).await;

    // Ends are set, moved and taken back; each gets the timing of another.
    for (n, (user, of_user)) in all.iter_mut().enumerate() {
        let timing = kinds[n % kinds.len()].timing;
        if of_user[0].ended_at.is_none() {
            of_user[0].timing = timing;
            world.change(world.test, *user, [set_timing(of_user[0].id, timing)]).await;
        }
    }
    check(&world, &all).await;
}
