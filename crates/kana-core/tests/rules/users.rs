//! Users: a new one, and an id that is taken.

use kana_core::decide::{Answer, Command};

use crate::world::{World, limit, recording};

#[test]
fn a_new_user_is_answered_as_it_is_stored() {
    let mut world = World::new();
    let user = world.new_user("124");
    assert_eq!(world.run(&Command::CreateUser(user.clone())), Ok(Answer::User(user)));
    assert!(world.subscriptions("124").is_empty());
}

#[test]
fn an_id_that_is_taken_is_refused() {
    let mut world = World::new().user("124");
    let before = world.stored();
    let again = world.new_user("124");
    let refusal = world.run(&Command::CreateUser(again)).unwrap_err();
    assert_eq!(refusal.to_string(), "A user with the id 124 exists already");
    assert_eq!(world.stored(), before);
}

#[test]
fn subscriptions_and_usage_stay_with_a_user_who_gets_a_new_id() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3))])
        .user("124")
        .subscribed("124", "pro");
    world.record(recording("124", "api-calls").add(2)).unwrap();
    world.rename("124", "125");
    assert_eq!(world.used("125", "api-calls"), 2);
    let refusal = world.record(recording("124", "api-calls")).unwrap_err();
    assert_eq!(refusal.to_string(), "User not found: 124");
}
