//! The audit log: who changed what.

use axum::http::{Method, StatusCode};
use kana_service::Role;

use crate::person::Person;
use crate::world::World;

async fn create_feature(person: &mut Person, id: &str) {
    person.visit("/dashboard/test/features/new").await;
    let form = person.form("Create a feature").fill("Name", "First").fill("Identifier", id);
    person.submit(form, "Create feature").await;
}

async fn filter(person: &mut Person, kind: &str, who: &str, item: &str) -> Vec<String> {
    person.visit("/dashboard/test/audit").await;
    let form = person.form("Filter").choose("Kind", kind).fill("Who", who).fill("Item", item);
    person.submit(form, "Apply").await;
    if !person.has("caption") {
        return Vec::new();
    }
    person.table("Changes").into_iter().map(|row| format!("{} {}", row[2], row[3])).collect()
}

#[tokio::test]
async fn changes_are_listed_with_who_made_them_and_shown_before_and_after() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    create_feature(&mut editor, "sso").await;
    let form = editor.form("Feature").fill("Name", "<i>Sign-on</i>");
    editor.submit(form, "Save").await;
    editor.follow("Audit log").await;
    let rows = editor.table("Changes");
    assert_eq!(rows[0][1..4], ["editor@meridian.example", "Changed feature", "sso"]);
    // What belongs to no environment is shown under both.
    assert!(rows.iter().any(|row| row[2] == "Created admin"));
    let details = rows[0][4].clone();
    assert!(details.starts_with("Details of Changed feature"));
    editor.follow(&details).await;
    let differences = editor.table("Before and after");
    let name = ["Name changed", "First", "<i>Sign-on</i>"];
    assert!(differences.contains(&name.map(str::to_owned).to_vec()), "{differences:?}");
    assert!(editor.has("tr.changed del") && editor.has("tr.changed ins"));
    editor.visit("/dashboard/live/audit").await;
    let rows = editor.table("Changes");
    assert!(rows.iter().all(|row| row[3] != "sso"));
    assert!(rows.iter().any(|row| row[2] == "Created admin"));
}

#[tokio::test]
async fn the_log_is_filtered_by_kind_person_and_item() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    let mut owner = world.person(Role::Owner).await;
    create_feature(&mut editor, "sso").await;
    create_feature(&mut owner, "seats").await;
    let features = ["Created feature seats", "Created feature sso"];
    assert_eq!(filter(&mut editor, "Features", "", "").await, features);
    assert_eq!(filter(&mut editor, "All", "EDITOR@", "sso").await, features[1..]);
    assert_eq!(filter(&mut editor, "Features", "owner", "").await, features[..1]);
    assert_eq!(filter(&mut editor, "Packages", "", "").await, [""; 0]);
    assert!(editor.main().contains("No entry found"));
    assert!(filter(&mut editor, "People", "", "").await.len() >= 2);
}

#[tokio::test]
async fn a_long_log_is_read_in_pages_without_a_gap() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    for number in 0..60 {
        create_feature(&mut editor, &format!("f-{number:03}")).await;
    }
    editor.visit("/dashboard/test/audit?kind=feature").await;
    let mut items = Vec::new();
    loop {
        items.extend(editor.table("Changes").into_iter().map(|row| row[3].clone()));
        if !editor.has_link("Next") {
            break;
        }
        editor.follow("Next").await;
    }
    let expected: Vec<String> = (0..60).rev().map(|number| format!("f-{number:03}")).collect();
    assert_eq!(items, expected);
}

#[tokio::test]
async fn owners_take_the_filtered_log_away_as_a_file_which_leaves_an_entry() {
    let world = World::new().await;
    let mut owner = world.person(Role::Owner).await;
    for id in ["=1+1", "a,b"] {
        create_feature(&mut owner, id).await;
    }
    owner.visit("/dashboard/test/audit?kind=feature").await;
    assert_eq!(owner.follow("Export CSV").await, StatusCode::OK);
    assert_eq!(owner.header("content-type"), Some("text/csv; charset=utf-8"));
    let name = r#"attachment; filename="kana-test-audit-log-2026-11-29.csv""#;
    assert_eq!(owner.header("content-disposition"), Some(name));
    let lines: Vec<&str> = owner.text().split("\r\n").collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "time,who,what,kind,item,before,after");
    let start = "2026-11-29T09:03:11.000Z,owner@meridian.example,createFeature,feature,";
    assert!(lines[1].starts_with(&format!("{start}\"a,b\",,")), "{}", lines[1]);
    assert!(lines[2].starts_with(&format!("{start}'=1+1,,")), "{}", lines[2]);
    // Who asks for the head alone takes nothing away.
    let head = owner.send(Method::HEAD, "/dashboard/test/audit.csv", None, &[]).await;
    assert_eq!((head, owner.text()), (StatusCode::OK, ""));
    owner.visit("/dashboard/live/audit").await;
    let rows = owner.table("Changes");
    assert_eq!(rows[0][1..4], ["owner@meridian.example", "Exported audit log", "test"]);
    assert_eq!(rows.iter().filter(|row| row[2] == "Exported audit log").count(), 1);
    let mut editor = world.person(Role::Editor).await;
    editor.visit("/dashboard/test/audit").await;
    assert!(!editor.has_link("Export CSV"));
}
