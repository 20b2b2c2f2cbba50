//! Who has a package: counted, listed, and told before it changes.

use kana_core::configuration::Configuration;
use kana_core::decide::UpdateSubscription;
use kana_core::subscribing::Subscribe;
use kana_core::user::User;
use kana_service::{UserQuery, to_subscribe};

use crate::engine::{Engine, Postgres, Sqlite};
use crate::world::{World, package_id, time, user_id};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Who has the package, by the list of its subscribers.
///
/// # Panics
/// If a count, a search or the plan of a file without the package says otherwise.
async fn subscribers<E: Engine>(world: &World<E>) -> Vec<String> {
    let test = world.test().await;
    let pro = package_id("pro");
    let ids = async |search: &str| {
        let query = UserQuery { search: search.to_owned(), package: Some(pro.clone()) };
        let found = test.find_users(&query, None, 9).await.unwrap();
        found.users.into_iter().map(|(user, _)| user.id.to_string()).collect::<Vec<_>>()
    };
    let listed = ids("").await;
    let counted = u64::try_from(listed.len()).unwrap();
    assert_eq!(test.count_subscribers(std::slice::from_ref(&pro)).await.unwrap(), [counted]);
    for user in ["ada", "bob", "cyd", "dan", "eve"] {
        let is_listed = listed.iter().any(|id| id == user);
        assert_eq!(ids(user).await.len(), usize::from(is_listed), "{user}");
    }
    let mut without = Configuration::of(&test.catalog().await.unwrap());
    without.packages.clear();
    let plan = test.validate(&without).await.unwrap();
    let archived = plan.entries.iter().find(|entry| entry.id == "pro").unwrap();
    assert_eq!(archived.active_subscribers, Some(counted));
    listed
}

async fn whoever_has_not_begun_or_has_ended_has_no_package<E: Engine>() {
    if !E::is_here() {
        return;
    }
    let world = World::<E>::new().await;
    let test = world.test().await;
    let in_an_hour = Some(world.now().saturating_add_ms(HOUR_MS));
    for (user, trial_days) in [("dan", None), ("eve", Some(1))] {
        test.create_user(User::named(user_id(user))).await.unwrap();
        let later = Subscribe {
            starts_at: in_an_hour,
            trial_days,
            cancel_at_trial_end: trial_days.is_some(),
            ..to_subscribe(user_id(user), vec![package_id("pro")])
        };
        test.subscribe_to(later).await.unwrap();
    }
    let of_ada = test.subscriptions(&user_id("ada")).await.unwrap().1[0].id;
    let ends =
        |at| UpdateSubscription { cancel_at: Some(at), ..UpdateSubscription::nothing(of_ada) };
    let in_two_hours = world.now().saturating_add_ms(2 * HOUR_MS);
    test.update_subscription(&of_ada.to_string(), ends(Some(in_two_hours))).await.unwrap();

    let mut told = vec![subscribers(&world).await];
    for ms in [HOUR_MS - 1, 1, HOUR_MS - 1, 1, 23 * HOUR_MS - 1, 1] {
        world.pass(ms);
        told.push(subscribers(&world).await);
    }
    let expected = [
        "ada bob cyd",
        "ada bob cyd",
        "ada bob cyd dan eve",
        "ada bob cyd dan eve",
        "bob cyd dan eve",
        "bob cyd dan eve",
        "bob cyd dan",
    ];
    assert_eq!(told.iter().map(|ids| ids.join(" ")).collect::<Vec<_>>(), expected);

    // The same clock says it again: nothing was written when an end came.
    world.clock.set(time(crate::world::BEGINNING));
    assert_eq!(subscribers(&world).await, ["ada", "bob", "cyd"]);
}

#[tokio::test]
async fn whoever_has_not_begun_or_has_ended_has_no_package_on_sqlite() {
    whoever_has_not_begun_or_has_ended_has_no_package::<Sqlite>().await;
}

#[tokio::test]
async fn whoever_has_not_begun_or_has_ended_has_no_package_on_postgres() {
    whoever_has_not_begun_or_has_ended_has_no_package::<Postgres>().await;
}
