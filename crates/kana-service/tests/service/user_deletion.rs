//! Deleting a user, as a back end does it: what is gone, and what stays.

use kana_core::edit::Edit;
use kana_core::metadata::{Label, Metadata};
use kana_core::usage::RecordUsage;
use kana_core::user::UserEdit;
use kana_service::Environment;
use kana_service::jobs::{JobRunner, housekeeping};
use serde_json::json;

use crate::world::{
    World, new_user, record, sentence, subscribe, usage, used, user, user_id,
};

/// What nothing in the files may have.
const PRIVATE: &str = "lovelace";

fn private(what: &str) -> Edit<Label> {
    Edit::Set(Label::new("name", &format!("{what}-{PRIVATE}")).unwrap())
}

fn new_id(id: &str) -> UserEdit {
    UserEdit { id: Some(user_id(id)), ..UserEdit::default() }
}

/// The files of the data directory that have the text.
fn files_with(world: &World, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(world.dir()).unwrap().map(|entry| entry.unwrap().path());
    let has = |file: &std::path::PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.filter(has).map(|file| file.display().to_string()).collect()
}

/// Changes everything that is known of a user, and records usage with metadata.
async fn note(test: &Environment, id: &str, bytes: usize) {
    let note = json!({ "note": format!("{PRIVATE} {}", "x".repeat(bytes)) });
    let edit = UserEdit {
        id: None,
        billing_id: private("billing"),
        name: private("name"),
        email: private("email"),
        metadata: Edit::Set(Metadata::new("metadata", note.clone()).unwrap()),
    };
    test.update_user(user_id(id), edit).await.unwrap();
    let metadata = Some(Metadata::new("metadata", note).unwrap());
    record(test, RecordUsage { user: user_id(id), metadata, ..usage() }).await;
}

#[tokio::test]
async fn nothing_of_a_deleted_user_is_in_the_files_once_the_server_has_stopped() {
    let world = World::shop().await;
    let test = world.test().await;
    let (first, second) = (format!("{PRIVATE}-1"), format!("{PRIVATE}-2"));
    test.create_user(new_user(&first)).await.unwrap();
    subscribe(&test, &first, "basic").await.unwrap();
    // Others write between, so that rows move from page to page.
    for number in 0..300 {
        user(&test, &format!("other-{number}")).await;
        if number % 10 == 0 {
            note(&test, &first, number * 20).await;
        }
    }
    test.update_user(user_id(&first), new_id(&second)).await.unwrap();
    assert_ne!(files_with(&world, PRIVATE), [""; 0]);

    let jobs = JobRunner::start(&world.kana, housekeeping(&world.kana));
    test.delete_user(user_id(&second)).await.unwrap();
    // The job is there with the deletion, and gone when it is done.
    let is_there = || world.stored()["jobs"].iter().any(|job| job.contains("user-deletion"));
    while is_there() {
        tokio::task::yield_now().await;
    }
    jobs.stopped().await;
    drop(test);
    let world = world.restart().await;
    assert_eq!(files_with(&world, PRIVATE), [""; 0]);
    assert_ne!(files_with(&world, "other-7"), [""; 0]);
    assert_eq!(world.count("events"), 30);
}

#[tokio::test]
async fn an_id_that_was_deleted_can_be_anothers_who_has_used_nothing() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, usage()).await;
    let token = test.issue_user_token(&user_id("124")).await.unwrap();
    let view = async |token: &str| world.kana.authorise_token(token).await?.view(true).await;
    view(&token).await.unwrap();

    test.delete_user(user_id("124")).await.unwrap();
    assert_eq!(sentence(test.user(&user_id("124")).await), "User not found: 124");
    assert_eq!(sentence(test.delete_user(user_id("124")).await), "User not found: 124");
    assert_eq!(sentence(view(&token).await), "User not found: 124");

    user(&test, "124").await;
    subscribe(&test, "124", "basic").await.unwrap();
    assert_eq!(used(&test, "124").await, 0);
    // That token was the other's, at the same instant too.
    assert_eq!(sentence(view(&token).await), "Unauthenticated: the user token is invalid");
    let token = test.issue_user_token(&user_id("124")).await.unwrap();
    view(&token).await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_deleted_user_opens_none_who_gets_the_id_later() {
    let world = World::new().await;
    let test = world.test().await;
    user(&test, "older").await;
    user(&test, "124").await;
    let token = test.issue_user_token(&user_id("124")).await.unwrap();
    test.delete_user(user_id("124")).await.unwrap();
    test.update_user(user_id("older"), new_id("124")).await.unwrap();
    let opened = world.kana.authorise_token(&token).await.unwrap().view(false).await;
    assert_eq!(sentence(opened), "Unauthenticated: the user token is invalid");
}

#[tokio::test]
async fn what_waits_with_a_deletion_is_decided_before_or_after_it() {
    type Call<'a> = std::pin::Pin<Box<dyn Future<Output = String> + 'a>>;

    let world = World::subscribed().await;
    let test = world.test().await;
    let calls: [Call<'_>; 4] = [
        Box::pin(async {
            test.update_user(user_id("124"), new_id("125")).await.unwrap().id.to_string()
        }),
        Box::pin(async { format!("{:?}", test.delete_user(user_id("125")).await.is_ok()) }),
        Box::pin(async { sentence(test.record_usage(usage()).await) }),
        Box::pin(async { test.create_user(new_user("125")).await.unwrap().id.to_string() }),
    ];
    let answers = world.together(calls).await;
    assert_eq!(answers, ["125", "true", "User not found: 124", "125"]);
    // What the batch before has told of the user has another id, too; what the one after tells has not.
    let changes = world.stored()["changes"].join("\n");
    assert!(!changes.contains("124"), "{changes}");
    assert_eq!(changes.matches("\"125\"").count(), 1, "{changes}");
}
