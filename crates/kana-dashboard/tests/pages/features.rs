//! Features: list, create, change, delete.

use axum::http::StatusCode;
use kana_service::Role;

use crate::world::{OTHER_NONCE, World};

#[tokio::test]
async fn a_feature_is_created_found_renamed_and_deleted() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.follow("Features").await;
    assert_eq!(person.title(), "Features · Test · Meridian API");
    assert!(person.main().contains("No features yet"));
    person.follow("Create a feature").await;
    let form = person
        .form("Create a feature")
        .fill("Name", "Measures")
        .fill("Identifier", "/Measures")
        .tick("Consumable")
        .fill("Unit", "measure")
        .fill("Unit, plural", "measures")
        .fill("Metadata", r#"{"tier": 3}"#);
    assert_eq!(person.submit(form.clone(), "Create feature").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Feature created.");
    assert_eq!(person.heading(), "Measures");
    // A second click makes no second feature, and is no mistake.
    assert_eq!(person.submit(form.clone(), "Create feature").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Feature created.");
    // The same form with something else in it is one: it would not be made, and nobody would know.
    let changed = form.clone().fill("Identifier", "/Other");
    assert_eq!(person.submit(changed, "Create feature").await, StatusCode::CONFLICT);
    assert!(person.alert().contains("This form was sent before."), "{}", person.main());
    // Another form with the same id is one, too.
    let again = form.forge("nonce", OTHER_NONCE);
    let status = person.submit(again, "Create feature").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let alert = "There is a problem A feature with the id /Measures exists already";
    assert_eq!(person.alert(), alert);

    person.follow("Features").await;
    let row = ["Measures", "Consumable", "/Measures", "No package yet"];
    assert_eq!(person.table("Features"), [row]);
    let form = person.form("Filter").fill("Search features", "MEAS").choose("Type", "Binary");
    person.submit(form, "Apply").await;
    assert!(person.main().contains("No feature found"));
    person.follow("Show all features").await;
    person.follow("Measures").await;
    let mut form = person.form("Feature").fill("Name", "Measurements");
    assert_eq!(form.value("Metadata"), r#"{"tier":3}"#);
    person.submit(form, "Save").await;
    assert_eq!(
        (person.status_text().as_str(), person.heading().as_str()),
        ("Feature saved.", "Measurements")
    );
    person.follow("Delete feature").await;
    assert_eq!(person.heading(), "Delete Measurements?");
    let form = person.form("Delete Measurements?");
    person.submit(form, "Delete feature").await;
    assert_eq!(person.status_text(), "Feature deleted.");
}

#[tokio::test]
async fn what_is_wrong_with_a_feature_is_said_at_its_field_and_kept() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/features/new").await;
    let form = person
        .form("Create a feature")
        .fill("Name", "<script>alert(1)</script>")
        .fill("Identifier", " spaced ")
        .fill("Metadata", "[1]");
    let status = person.submit(form, "Create feature").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        person.alert(),
        "There is a problem Identifier: Must not start or end with a space. Metadata: Must be a \
         JSON object."
    );
    let mut form = person.form("Create a feature");
    assert_eq!(form.value("Name"), "<script>alert(1)</script>");
    assert_eq!(form.value("Metadata"), "[1]");
    assert!(person.has("#f-id[aria-invalid=true]") && person.has("#f-metadata[aria-invalid=true]"));
    assert!(!person.has("main script"));
}

#[tokio::test]
async fn a_viewer_sees_features_and_is_offered_no_change() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    editor.visit("/dashboard/test/features/new").await;
    let form = editor.form("Create a feature").fill("Name", "Sign-on").fill("Identifier", "sso");
    editor.submit(form, "Create feature").await;
    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/features").await;
    assert!(!viewer.has_link("Create a feature"));
    assert_eq!(viewer.follow("Sign-on").await, StatusCode::OK);
    assert!(!viewer.has_link("Delete feature") && !viewer.has("form[aria-label=Feature]"));
    // The other environment has none of it.
    assert_eq!(viewer.visit("/dashboard/live/feature?id=sso").await, StatusCode::NOT_FOUND);
    assert_eq!(viewer.navigation("Tools"), ["Documentation", "Developers"]);
}

#[tokio::test]
async fn a_long_list_is_read_in_pages() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    for number in 0..120 {
        person.visit("/dashboard/test/features/new").await;
        let form = person.form("Create a feature").fill("Identifier", &format!("f-{number:03}"));
        person.submit(form, "Create feature").await;
    }
    person.visit("/dashboard/test/features?q=f-").await;
    let mut seen = 0;
    loop {
        seen += person.table("Features").len();
        if !person.has_link("Next") {
            break;
        }
        person.follow("Next").await;
    }
    assert_eq!(seen, 120);
    person.follow("First").await;
    assert_eq!(person.table("Features")[0][2], "f-000");
}

/// The unit was dropped without a word, and the type of a feature never changes.
#[tokio::test]
async fn a_binary_feature_with_a_unit_is_refused_at_the_unit() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/features/new").await;
    let form = person.form("Create a feature").fill("Name", "Calls").fill("Identifier", "calls");
    let form = form.tick("Binary").fill("Unit", "call");
    let status = person.submit(form, "Create feature").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().contains("Only a consumable feature has a unit."), "{}", person.alert());
    let form = person.form("Create a feature").tick("Consumable");
    assert_eq!(person.submit(form, "Create feature").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Feature created.");
}

#[tokio::test]
async fn thresholds_are_written_in_words_and_folded_away_where_there_are_none() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/features/new").await;
    assert!(person.has("form[aria-label='Create a feature'] details:not([open])"));
    let form = person.form("Create a feature").fill("Name", "Calls").fill("Identifier", "calls");
    let form = form.tick("Consumable").fill("Thresholds", "most of it");
    let status = person.submit(form.clone(), "Create feature").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = "Thresholds: Write thresholds like 80 % or 10 left, with commas between them.";
    assert_eq!(person.alert(), format!("There is a problem {problem}"));
    assert!(person.has("form[aria-label='Create a feature'] details[open]"));
    let form = person.form("Create a feature").fill("Thresholds", "80%, 10 left");
    person.submit(form, "Create feature").await;
    assert_eq!(person.status_text(), "Feature created.");
    let mut form = person.form("Feature");
    assert_eq!(form.value("Thresholds"), "80 %, 10 left");
    assert!(person.has("form[aria-label='Feature'] details[open]"));

    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/feature?id=calls").await;
    assert!(viewer.main().contains("80 %, 10 left"));
    let form = person.form("Feature").fill("Thresholds", "");
    person.submit(form, "Save").await;
    assert_eq!(person.status_text(), "Feature saved.");
    assert!(person.has("form[aria-label='Feature'] details:not([open])"));
    viewer.visit("/dashboard/test/feature?id=calls").await;
    assert!(!viewer.main().contains("Thresholds"));
}
