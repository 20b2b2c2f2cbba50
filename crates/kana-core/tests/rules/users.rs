//! Users: a new one, an id that is taken, and what an update keeps, clears and sets.

use kana_core::Refusal;
use kana_core::change::audit_of_user;
use kana_core::decide::{Answer, Command, CreateUser, DeleteUser, UpdateUser};
use kana_core::edit::Edit;
use kana_core::facts::Change;
use kana_core::metadata::Metadata;
use kana_core::subjects::{Subject, Subjects};
use kana_core::user::{User, UserEdit};
use serde_json::json;

use crate::world::{World, label, limit, recording, user_id, using};

#[test]
fn a_new_user_is_answered_as_it_is_stored() {
    let mut world = World::new();
    let user = world.new_user("124");
    assert_eq!(world.run(&Command::CreateUser(CreateUser(user.clone()))), Ok(Answer::User(user)));
    assert!(world.subscriptions("124").is_empty());
}

#[test]
fn an_id_that_is_taken_is_refused() {
    let mut world = World::new().user("124");
    let before = world.stored();
    let again = world.new_user("124");
    let refusal = world.run(&Command::CreateUser(CreateUser(again))).unwrap_err();
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

fn metadata(tier: u32) -> Metadata {
    Metadata::new("metadata", json!({ "tier": tier })).unwrap()
}

/// An edit that sets everything but the id.
fn everything(text: &str, tier: u32) -> UserEdit {
    UserEdit {
        id: None,
        billing_id: Edit::Set(label(&format!("{text}-billing"))),
        name: Edit::Set(label(&format!("{text}-name"))),
        email: Edit::Set(label(&format!("{text}-email"))),
        metadata: Edit::Set(metadata(tier)),
    }
}

fn new_id(id: &str) -> UserEdit {
    UserEdit { id: Some(user_id(id)), ..UserEdit::default() }
}

/// A user of whom everything is known, and another.
fn world() -> World {
    let mut world = World::new().user("124").user("taken");
    world.update_user("124", everything("old", 1)).unwrap();
    world
}

#[test]
fn an_update_sets_what_it_names() {
    let mut world = world();
    let before = world.profile("124");
    let updated = world.update_user("124", everything("new", 2)).unwrap();
    let expected = User {
        key: before.key,
        id: user_id("124"),
        billing_id: Some(label("new-billing")),
        name: Some(label("new-name")),
        email: Some(label("new-email")),
        metadata: Some(metadata(2)),
    };
    assert_eq!(updated, expected);
    assert_eq!(world.profile("124"), expected);
}

#[test]
fn each_field_of_a_user_is_kept_cleared_and_set_by_itself() {
    let user = world().profile("124");
    let set = || Edit::Set(label("new"));
    let new = Some(label("new"));
    let keep = UserEdit::default;
    for (edit, expected) in [
        (UserEdit { billing_id: Edit::Clear, ..keep() }, User { billing_id: None, ..user.clone() }),
        (UserEdit { name: Edit::Clear, ..keep() }, User { name: None, ..user.clone() }),
        (UserEdit { email: Edit::Clear, ..keep() }, User { email: None, ..user.clone() }),
        (UserEdit { metadata: Edit::Clear, ..keep() }, User { metadata: None, ..user.clone() }),
        (
            UserEdit { billing_id: set(), ..keep() },
            User { billing_id: new.clone(), ..user.clone() },
        ),
        (UserEdit { name: set(), ..keep() }, User { name: new.clone(), ..user.clone() }),
        (UserEdit { email: set(), ..keep() }, User { email: new.clone(), ..user.clone() }),
        (
            UserEdit { metadata: Edit::Set(metadata(2)), ..keep() },
            User { metadata: Some(metadata(2)), ..user.clone() },
        ),
        (new_id("125"), User { id: user_id("125"), ..user.clone() }),
    ] {
        let mut world = world();
        assert_eq!(world.update_user("124", edit.clone()), Ok(expected.clone()), "{edit:?}");
        assert_eq!(world.profile(expected.id.as_str()), expected, "{edit:?}");
    }
}

#[test]
fn an_update_that_changes_nothing_has_no_changes_and_answers_the_user() {
    let world = world();
    for edit in [UserEdit::default(), everything("old", 1), new_id("124")] {
        let command = Command::UpdateUser(UpdateUser { user: user_id("124"), edit });
        assert_eq!(world.changes(&command), [], "{command:?}");
        let answer = world.clone().run(&command);
        assert_eq!(answer, Ok(Answer::User(world.profile("124"))));
    }
    // What is cleared already stays so.
    let edit = UserEdit { name: Edit::Clear, ..UserEdit::default() };
    let command = Command::UpdateUser(UpdateUser { user: user_id("taken"), edit });
    assert_eq!(world.changes(&command), []);
}

#[test]
fn a_new_id_that_is_taken_is_refused_and_nothing_else_is_changed_either() {
    let mut world = world();
    let before = world.stored();
    let edit = UserEdit { id: Some(user_id("taken")), ..everything("new", 2) };
    let refusal = world.update_user("124", edit).unwrap_err();
    assert_eq!(refusal, Refusal::UserIdTaken(user_id("taken")));
    assert_eq!(refusal.to_string(), "A user with the id taken exists already");
    assert_eq!(world.stored(), before);
}

#[test]
fn a_new_id_and_other_edits_are_made_together() {
    let mut world = world();
    let edit = UserEdit { id: Some(user_id("125")), ..everything("new", 2) };
    let updated = world.update_user("124", edit).unwrap();
    assert_eq!((updated.id.as_str(), updated.name), ("125", Some(label("new-name"))));
}

#[test]
fn an_id_that_was_given_up_is_free_for_another() {
    let mut world = world();
    world.rename("124", "125");
    world.rename("taken", "124");
    assert_eq!(world.profile("124").name, None);
    assert_eq!(world.profile("125").name, Some(label("old-name")));
    // And back again, over a third name.
    world.rename("124", "x");
    world.rename("125", "124");
    assert_eq!(world.profile("124").name, Some(label("old-name")));
}

#[test]
fn a_user_who_does_not_exist_cannot_be_changed() {
    let mut world = world();
    let before = world.stored();
    for edit in [UserEdit::default(), everything("new", 2), new_id("125"), new_id("taken")] {
        let refusal = world.update_user("nobody", edit).unwrap_err();
        assert_eq!(refusal, Refusal::UserNotFound(user_id("nobody")));
    }
    assert_eq!(world.stored(), before);
}

#[test]
fn a_command_names_one_user_and_with_a_new_id_whoever_has_that() {
    let mut world = world();
    let update = |edit| Command::UpdateUser(UpdateUser { user: user_id("124"), edit });
    let [old, new] = ["124", "125"].map(user_id);
    let renamed = UserEdit { id: Some(new.clone()), ..everything("new", 2) };
    let expected = Subjects::one(Subject::User(&old)).and(Subject::User(&new));
    assert_eq!(update(renamed).subjects(), expected);
    for other in [
        update(new_id("124")),
        update(UserEdit::default()),
        update(everything("new", 2)),
        Command::CreateUser(CreateUser(world.new_user("124"))),
        recording("124", "api-calls").command(),
        using("124", "api-calls").command(),
    ] {
        assert_eq!(other.subjects(), Subjects::one(Subject::User(&old)), "{other:?}");
    }
}

#[test]
fn updates_of_one_batch_build_on_each_other() {
    let mut world = world();
    let update = |edit| Command::UpdateUser(UpdateUser { user: user_id("124"), edit });
    let name = UserEdit { name: Edit::Set(label("first")), ..UserEdit::default() };
    let email = UserEdit { email: Edit::Clear, ..UserEdit::default() };
    let answers = world.run_batch("124", &[update(name), update(email)]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let user = world.profile("124");
    assert_eq!((user.name, user.email), (Some(label("first")), None));
    assert_eq!(user.billing_id, Some(label("old-billing")));
}

fn deletion(user: &str, new_id: &str) -> Command {
    Command::DeleteUser(DeleteUser { user: user_id(user), new_id: user_id(new_id) })
}

#[test]
fn of_a_user_who_is_deleted_only_usage_is_left_and_the_id_is_free() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3))])
        .user("124")
        .subscribed("124", "pro");
    world.update_user("124", everything("old", 1)).unwrap();
    world.record(recording("124", "api-calls").add(2)).unwrap();
    let key = world.profile("124").key;

    assert_eq!(world.run(&deletion("124", "random")), Ok(Answer::UserDeleted(key)));
    assert_eq!(world.profile("random"), User { key, ..User::named(user_id("random")) });
    assert!(world.subscriptions("random").iter().all(|ended| ended.ended_at == Some(world.now())));
    assert_eq!(world.events().len(), 1);
    let refusal = world.record(recording("124", "api-calls")).unwrap_err();
    assert_eq!(refusal.to_string(), "User not found: 124");
    let again = world.run(&deletion("124", "other")).unwrap_err();
    assert_eq!(again.to_string(), "User not found: 124");

    let mut world = world.user("124").subscribed("124", "pro");
    assert_eq!(world.used("124", "api-calls"), 0, "a new user");
    world.record(recording("124", "api-calls")).unwrap();
}

#[test]
fn the_feed_tells_a_deletion_last_and_under_the_new_id_and_the_audit_log_names_nobody() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3))])
        .addon("extra", [], [("api-calls", limit(1))])
        .user("124")
        .subscribed("124", "pro")
        .subscribed("124", "extra");
    world.take_changes();
    world.run(&deletion("124", "random")).unwrap();
    let changes = world.take_changes();
    let told: Vec<_> = changes.iter().map(|change| change.effect.type_name()).collect();
    let expected =
        ["subscription.ended", "subscription.ended", "entitlement.changed", "user.deleted"];
    assert_eq!(told, expected);
    assert!(changes.iter().all(|change| change.user == Some(user_id("random"))), "{changes:?}");
    let [entry] = &audit_of_user(&changes)[..] else { panic!("one entry") };
    assert_eq!((entry.action, &entry.subject), ("deleteUser", &None));
    assert_eq!((&entry.before, &entry.after), (&None, &None));
}

#[test]
fn the_id_that_is_left_is_nobodys() {
    let world = World::new().user("124").user("taken");
    let mut refused = world;
    let refusal = refused.run(&deletion("124", "taken")).unwrap_err();
    assert_eq!(refusal.to_string(), "A user with the id taken exists already");
    let [Change::DeleteUser { previous_id, .. }] = &refused.changes(&deletion("124", "new"))[..]
    else {
        panic!("without subscriptions, one change")
    };
    assert_eq!(*previous_id, user_id("124"));
}
