//! A preview becomes changes.

use std::fmt::Write as _;

use kana_core::edit::Edit;
use kana_core::metadata::Label;
use kana_core::user::UserEdit;
use kana_service::UserImportLineKind as Kind;
use kana_service::{UserImportError, UserImportState};

use crate::engine::Engine;
use crate::world::{EMAIL, World, preview, user_id};

fn named(name: &str) -> UserEdit {
    UserEdit { name: Edit::Set(Label::new("name", name).unwrap()), ..UserEdit::default() }
}

fn many(from: usize, to: usize) -> String {
    let mut file = "id,name\n".to_owned();
    for number in from..to {
        writeln!(file, "u-{number},Ada {number}").unwrap();
    }
    file
}

pub(crate) async fn what_was_previewed_becomes_so_with_one_entry_and_the_changes_of_each_user<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    let id = world
        .preview("id,name,email,metadata\nada,Ada,a@b.co,\ngrace,Grace,,\"{\"\"a\"\":1}\"\n")
        .await;
    world.test.apply_user_import(id).await.unwrap();
    assert_eq!(world.result(id).await, [2, 0, 0, 0]);
    let file = "id,new_id,name,email\nada,ada-2,,\ngrace,,Grace,\nmary,,Mary,\n";
    let id = preview(&world.test, file, true).await.unwrap();
    world.test.apply_user_import(id).await.unwrap();
    assert_eq!(world.result(id).await, [1, 1, 1, 0]);
    assert_eq!(world.user("ada").await, None);
    let ada = world.user("ada-2").await.unwrap();
    assert_eq!((ada.name, ada.email), (None, None));
    let grace = world.user("grace").await.unwrap();
    assert_eq!(grace.metadata.unwrap().to_json(), r#"{"a":1}"#);

    let expected =
        ["user.created ada", "user.created grace", "user.created mary", "user.updated ada-2"];
    assert_eq!(world.changes().await, expected);
    let entries = world.audit().await;
    assert_eq!(entries.len(), 2);
    let newest = &entries[0];
    assert_eq!((newest.actor.as_str(), newest.action.as_str()), (EMAIL, "importUsers"));
    let counts = r#"{"created":1,"updated":1,"unchanged":1,"leftAlone":0}"#;
    assert_eq!(newest.after.as_deref(), Some(counts));
    // In order of creation.
    let page = world.test.users(None, 10, false).await.unwrap();
    let ids: Vec<&str> = page.users.iter().map(|(user, _)| user.id.as_str()).collect();
    assert_eq!(ids, ["ada-2", "grace", "mary"]);
}

pub(crate) async fn with_a_conflict_or_an_error_nothing_is_imported<E: Engine>() {
    let world = World::<E>::new().await;
    for file in ["id\nada\nada\n", "id\nada\n\"\n", "id\n"] {
        let id = world.preview(file).await;
        let refused = world.test.apply_user_import(id).await;
        assert!(matches!(refused, Err(UserImportError::NotImportable)), "{file} {refused:?}");
        assert_eq!(world.status(id).await.state, UserImportState::Ready);
    }
    assert_eq!(world.user("ada").await, None);
    assert!(world.audit().await.is_empty() && world.changes().await.is_empty());
}

pub(crate) async fn what_changed_since_the_preview_is_left_alone_and_told_by_line<E: Engine>() {
    let world = World::<E>::new().await;
    let id = world.preview("id,name\nada,Ada\ngrace,Grace\nalan,Alan\nkurt,Kurt\n").await;
    world.test.apply_user_import(id).await.unwrap();
    let file = "id,name,new_id\nada,Ada 2,\ngrace,Grace 2,\nalan,Alan 2,\nnew,New,\nkurt,,kurt-2\n";
    let id = world.preview(file).await;
    assert_eq!(world.counts(id).await, [1, 4, 0, 0, 0, 0]);

    world.test.update_user(user_id("ada"), named("Somebody")).await.unwrap();
    world.test.update_user(user_id("grace"), named("Grace 2")).await.unwrap();
    let other = UserEdit { id: Some(user_id("alan-2")), ..UserEdit::default() };
    world.test.update_user(user_id("alan"), other).await.unwrap();
    for taken in ["new", "kurt-2"] {
        let user = kana_core::user::User::named(user_id(taken));
        world.test.create_user(user).await.unwrap();
    }
    world.test.apply_user_import(id).await.unwrap();
    assert_eq!(world.result(id).await, [0, 0, 1, 4]);
    assert_eq!(
        world.said(id, Kind::LeftAlone).await,
        [
            "2: Somebody changed the user after the preview.",
            "4: The user is gone.",
            "5: A user with the id new exists already.",
            "6: A user with the id kurt-2 exists already.",
        ]
    );
    assert_eq!(world.user("ada").await.unwrap().name.unwrap().as_str(), "Somebody");
    assert_eq!(world.user("kurt").await.unwrap().name.unwrap().as_str(), "Kurt");
}

pub(crate) async fn an_import_that_is_sent_twice_is_done_once<E: Engine>() {
    let world = World::<E>::new().await;
    let id = world.preview(&many(0, 3)).await;
    let (one, other) =
        tokio::join!(world.test.apply_user_import(id), world.test.apply_user_import(id));
    one.unwrap();
    other.unwrap();
    world.test.apply_user_import(id).await.unwrap();
    assert_eq!(world.result(id).await, [3, 0, 0, 0]);
    assert_eq!((world.audit().await.len(), world.changes().await.len()), (1, 3));
}

pub(crate) async fn many_lines_are_imported_by_a_job_that_another_server_goes_on_with<E: Engine>() {
    let world = World::<E>::new().await;
    let id = world.preview(&many(0, 100)).await;
    world.test.apply_user_import(id).await.unwrap();
    let id = world.preview(&many(50, 1101).replace("Ada 50\n", "Ada\n")).await;
    assert_eq!(world.counts(id).await, [1001, 1, 49, 0, 0, 0]);
    world.test.apply_user_import(id).await.unwrap();
    world.test.apply_user_import(id).await.unwrap();
    assert_eq!(world.status(id).await.state, UserImportState::Applying);
    assert_eq!(world.status(id).await.result.created, 0);

    let runner = world.run_jobs();
    world.until_applied(id, 200).await;
    runner.stopped().await;
    let world = world.restart().await;
    let begun = world.status(id).await;
    let runner = world.run_jobs();
    world.until_applied(id, 1002).await;
    runner.stopped().await;
    assert!(begun.result.created >= 200, "{begun:?}");
    assert_eq!(world.result(id).await, [1001, 1, 49, 0]);
    let page = world.test.users(None, 2000, false).await.unwrap();
    assert_eq!(page.users.len(), 1101);
    assert_eq!(world.user("u-50").await.unwrap().name.unwrap().as_str(), "Ada");
    // One entry for each import, by whoever began it; one change for each user.
    let entries = world.audit().await;
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].actor, EMAIL);
    let counts = r#"{"created":1001,"updated":1,"unchanged":49,"leftAlone":0}"#;
    assert_eq!(entries[0].after.as_deref(), Some(counts));
}
