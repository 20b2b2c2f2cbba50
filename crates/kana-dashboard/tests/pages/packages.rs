//! Packages: create, change, publish, archive, delete, duplicate.

use axum::http::StatusCode;
use kana_core::configuration::Configuration;
use kana_service::Role;
use serde_json::json;

use crate::person::{Form, Person};
use crate::world::{OTHER_NONCE, World};

/// Creates features: the name is also the id, in small letters.
async fn features(person: &mut Person, environment: &str, names: &[&str]) {
    for name in names {
        person.visit(&format!("/dashboard/{environment}/features/new")).await;
        let form = person
            .form("Create a feature")
            .fill("Name", name)
            .fill("Identifier", &name.to_lowercase())
            .tick(if name.starts_with("Sign") { "Binary" } else { "Consumable" });
        assert_eq!(person.submit(form, "Create feature").await, StatusCode::OK);
    }
}

/// Opens the form for a new package with one feature in it.
async fn new_package(person: &mut Person, environment: &str, name: &str, limit: &str) -> Form {
    person.visit(&format!("/dashboard/{environment}/packages/new")).await;
    person
        .form("Create a package")
        .fill("Name", name)
        .fill("Identifier", &name.to_lowercase())
        .fill("Feature 1: Feature", "Calls")
        .fill("Feature 1: Limit", limit)
}

async fn publish(person: &mut Person, name: &str) {
    person.follow("Publish").await;
    let form = person.form(&format!("Publish {name}?"));
    assert_eq!(person.submit(form, "Publish package").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Package published.");
}

#[tokio::test]
async fn a_package_is_created_row_by_row_without_a_script() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls", "Storage", "Sign-on"]).await;
    person.follow("Packages").await;
    assert!(person.main().contains("No packages yet"));
    let form = new_package(&mut person, "test", "Pro", "1,000").await;
    let form = form.choose("Feature 1: Resets", "Every month").tick("Feature 1: Overage allowed");
    assert_eq!(person.submit(form, "Add a feature").await, StatusCode::OK);
    let form = person.form("Create a package").fill("Feature 2: Feature", "storage");
    person.submit(form, "Add a feature").await;
    let form = person
        .form("Create a package")
        .fill("Feature 3: Feature", "sign-on")
        .fill("Feature 3: Name in the package", "SSO");
    person.submit(form, "Remove feature 2").await;
    let mut form = person.form("Create a package").fill("Metadata", r#"{"tier": 3}"#);
    assert_eq!(form.value("Feature 1: Limit"), "1,000");
    assert_eq!(form.value("Feature 2: Name in the package"), "SSO");
    assert_eq!(person.submit(form.clone(), "Save as draft").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Draft saved.");
    assert_eq!(person.heading(), "Pro");
    let rows =
        [["Calls", "1,000", "Every month", "Allowed", "Calls"], ["Sign-on", "–", "–", "–", "SSO"]];
    assert_eq!(person.table("Features in this package"), rows);
    assert!(person.main().contains("Identifier pro "), "{}", person.main());
    // A second click makes no second package; another form with the id is refused.
    assert_eq!(person.submit(form.clone(), "Save as draft").await, StatusCode::OK);
    let again = form.forge("nonce", OTHER_NONCE);
    let status = person.submit(again, "Save as draft").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem A package with the id pro exists already");

    person.visit("/dashboard/test/packages").await;
    assert_eq!(person.navigation("Status"), ["Published", "Drafts", "Archived", "All"]);
    assert!(person.main().contains("There is no published package."));
    person.follow("Drafts").await;
    assert_eq!(person.table("Packages"), [["Draft", "Pro", "pro", "2", "0", "0"]]);
    let form = person.form("Filter").fill("Search packages", "nothing").choose("Sort", "Name");
    person.submit(form, "Apply").await;
    assert!(person.main().contains("No package found"));
}

#[tokio::test]
async fn what_is_wrong_with_a_row_is_said_at_its_field() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls", "Sign-on"]).await;
    let form = new_package(&mut person, "test", "Pro", "-1").await;
    person.submit(form, "Add a feature").await;
    let form = person
        .form("Create a package")
        .fill("Feature 2: Feature", "Storrage")
        .fill("Feature 2: Limit", "1");
    let status = person.submit(form, "Save as draft").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        person.alert(),
        "There is a problem Feature 1, limit: Must not be negative. Feature 2: Feature “Storrage” \
         does not exist in test."
    );
    assert!(person.has("#f-r1-limit[aria-invalid=true]"));
    assert!(person.has("#f-r2-feature[aria-invalid=true]"));
    let form = person
        .form("Create a package")
        .fill("Feature 1: Limit", "")
        .fill("Feature 2: Feature", "Sign-on");
    person.submit(form, "Save as draft").await;
    assert_eq!(
        person.alert(),
        "There is a problem Feature 2, limit: Must be left out for sign-on, which is BINARY."
    );
    let form = person
        .form("Create a package")
        .fill("Feature 2: Feature", "calls")
        .fill("Feature 2: Limit", "");
    person.submit(form, "Save as draft").await;
    assert_eq!(person.alert(), "There is a problem Feature 2: Names the feature calls twice.");
}

#[tokio::test]
async fn a_draft_is_changed_published_and_archived() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    person.visit("/dashboard/test/packages/new").await;
    let form = person.form("Create a package").fill("Name", "Pro").fill("Identifier", "pro");
    person.submit(form, "Save as draft").await;
    person.follow("Publish").await;
    assert!(person.main().contains("It has no features yet, so it cannot be published."));
    let form = person.form("Publish Pro?");
    let status = person.submit(form, "Publish package").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().contains("which has no features: a package needs one"));

    person.visit("/dashboard/test/package/edit?id=pro").await;
    let form = person.form("Edit Pro").fill("Name", "Professional");
    person.submit(form, "Add a feature").await;
    let form = person
        .form("Edit Pro")
        .fill("Feature 1: Feature", "Calls")
        .fill("Feature 1: Name in the package", "Requests");
    person.submit(form, "Save as draft").await;
    assert_eq!(person.status_text(), "Draft saved.");
    let row = ["Calls", "Unlimited", "Never", "–", "Requests"];
    assert_eq!(person.table("Features in this package"), [row]);
    publish(&mut person, "Professional").await;
    assert!(!person.has_link("Publish") && !person.has_link("Delete"));

    person.follow("Archive").await;
    assert!(person.main().contains("0 subscribers keep it."));
    let form = person.form("Archive Professional?");
    person.submit(form.clone(), "Archive package").await;
    assert_eq!(person.status_text(), "Package archived.");
    // A second click is no mistake.
    person.submit(form, "Archive package").await;
    assert_eq!(person.status_text(), "Package archived.");
    assert!(person.has_link("Duplicate") && !person.has_link("Edit"));
}

#[tokio::test]
async fn a_question_is_asked_again_where_something_changed_meanwhile() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    person.submit(form, "Save as draft").await;
    for (link, question, act, done) in [
        ("Publish", "Publish Pro?", "Publish package", "Package published."),
        ("Archive", "Archive Pro?", "Archive package", "Package archived."),
    ] {
        person.visit("/dashboard/test/package?id=pro").await;
        person.follow(link).await;
        let form = person.form(question);
        features(&mut person, "test", &[act]).await;
        assert_eq!(person.submit(form, act).await, StatusCode::CONFLICT);
        assert!(person.alert().starts_with("Someone changed this meanwhile."));
        let form = person.form(question);
        person.submit(form, act).await;
        assert_eq!(person.status_text(), done);
    }
}

/// The change was dropped, and nobody was told.
#[tokio::test]
async fn a_change_of_a_package_that_was_archived_meanwhile_is_a_conflict() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    person.submit(form, "Save as draft").await;
    publish(&mut person, "Pro").await;
    person.follow("Edit").await;
    let form = person.form("Edit Pro").fill("Feature 1: Limit", "5");
    person.submit(form.clone(), "Review changes").await;
    let review = person.form("Change Pro?");
    person.visit("/dashboard/test/package/archive?id=pro").await;
    let archive = person.form("Archive Pro?");
    person.submit(archive, "Archive package").await;
    for (form, button) in [(review, "Publish changes"), (form, "Review changes")] {
        assert_eq!(person.submit(form, button).await, StatusCode::CONFLICT);
        assert!(person.alert().starts_with("Someone changed this meanwhile."));
    }
    person.visit("/dashboard/test/package?id=pro").await;
    assert_eq!(person.table("Features in this package")[0][1], "10");
}

#[tokio::test]
async fn a_published_package_is_changed_after_a_review() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    person.submit(form, "Save as draft").await;
    publish(&mut person, "Pro").await;
    person.follow("Edit").await;
    assert!(person.has_link("Duplicate instead"));
    let form = person.form("Edit Pro");
    let status = person.submit(form, "Review changes").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem Nothing has changed.");
    let form = person.form("Edit Pro").fill("Feature 1: Limit", "5");
    assert_eq!(person.submit(form.clone(), "Review changes").await, StatusCode::OK);
    assert_eq!(person.heading(), "Change Pro?");
    let finding = "the package pro changes for everyone subscribed: calls (limit 10) → (limit 5); \
                   it has no active subscribers";
    assert!(person.main().contains(finding), "{}", person.main());
    // What was typed can be changed further.
    let review = person.form("Change Pro?");
    person.submit(review.clone(), "Edit further").await;
    assert_eq!(person.heading(), "Edit Pro");
    assert_eq!(person.form("Edit Pro").value("Feature 1: Limit"), "5");
    person.submit(review.clone(), "Publish changes").await;
    assert_eq!(person.status_text(), "Changes published.");
    assert_eq!(person.table("Features in this package")[0][1], "5");
    // Twice is once.
    person.submit(review, "Publish changes").await;
    assert_eq!(person.status_text(), "Changes published.");

    // The form of before is of another version: both values are shown, and nothing is saved.
    let form = form.fill("Feature 1: Limit", "7");
    assert_eq!(person.submit(form, "Review changes").await, StatusCode::CONFLICT);
    assert!(person.alert().starts_with("Someone changed this meanwhile."));
    let both = ["Feature Calls", "limit 5, resets never", "limit 7, resets never"];
    assert_eq!(person.table("Both values"), [both]);
    let form = person.form("Edit Pro");
    assert_eq!(person.submit(form, "Review changes").await, StatusCode::OK);
    assert_eq!(person.heading(), "Change Pro?");
}

#[tokio::test]
async fn what_resets_can_reset_by_the_calendar() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    let form = form.tick("Feature 1: Resets by the calendar");
    let refused = form.clone();
    assert_eq!(person.submit(refused, "Save as draft").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().contains("Needs a reset"), "{}", person.alert());
    let form = form.choose("Feature 1: Resets", "Every week");
    person.submit(form, "Save as draft").await;
    assert_eq!(person.status_text(), "Draft saved.");
    assert_eq!(person.table("Features in this package")[0][2], "Every week, by the calendar");
}

#[tokio::test]
async fn a_limit_can_be_added_to_others() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    let folded = |page: &str| page.contains("<details><summary>More for feature 1");
    assert!(folded(person.text()));
    person.submit(form.tick("Feature 1: Added to others"), "Save as draft").await;
    assert_eq!(person.status_text(), "Draft saved.");
    assert_eq!(person.table("Features in this package")[0][1], "10, added");
    // What is folded away and says something is open.
    person.follow("Edit").await;
    assert!(!folded(person.text()));
    let form = person.form("Edit Pro").fill("Name", "Pro 2026");
    person.submit(form, "Save as draft").await;
    assert_eq!(person.table("Features in this package")[0][1], "10, added");
}

#[tokio::test]
async fn what_is_left_of_a_period_can_be_carried() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    let form = form.choose("Feature 1: Resets", "Every day");
    let carried = |periods, most| {
        let form = form.clone().fill("Feature 1: Periods that it is carried for", periods);
        form.fill("Feature 1: Carried at most", most)
    };
    for (form, problem) in [
        (carried("13", ""), "Must be from 1 to 12."),
        (carried("two", ""), "Must be from 1 to 12."),
        (carried("", "5"), "Say for how many periods."),
        (carried("2", "0"), "Must be a whole number of 1 or more, or empty for no cap."),
        (carried("2", "").choose("Feature 1: Resets", "Never"), "Needs a limit and a reset."),
        (carried("2", "").fill("Feature 1: Limit", ""), "Needs a limit and a reset."),
    ] {
        let status = person.submit(form, "Save as draft").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(person.alert().contains(problem), "{}", person.alert());
    }
    person.submit(carried("2", "1,500"), "Save as draft").await;
    assert_eq!(person.status_text(), "Draft saved.");
    let said = "Every day, carried for 2 periods, at most 1,500";
    assert_eq!(person.table("Features in this package")[0][2], said);
    person.follow("Edit").await;
    let mut form = person.form("Edit Pro");
    assert_eq!(form.value("Feature 1: Periods that it is carried for"), "2");
    assert_eq!(form.value("Feature 1: Carried at most"), "1500");
    person.submit(form.fill("Feature 1: Carried at most", ""), "Save as draft").await;
    let said = "Every day, carried for 2 periods";
    assert_eq!(person.table("Features in this package")[0][2], said);
}

#[tokio::test]
async fn a_copy_is_a_draft_with_the_next_free_id_and_a_base_that_is_named_stays() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    features(&mut person, "test", &["Calls"]).await;
    let form = new_package(&mut person, "test", "Pro", "10").await;
    person.submit(form, "Save as draft").await;
    person.follow("Duplicate").await;
    let mut form = person.form("Duplicate Pro");
    assert_eq!(form.value("Identifier"), "pro-2");
    let form = form.fill("Name", "Pro 2026");
    person.submit(form, "Create draft").await;
    assert_eq!(person.heading(), "Edit Pro 2026");
    let mut form = person.form("Edit Pro 2026");
    assert_eq!(form.value("Feature 1: Limit"), "10");

    let form = new_package(&mut person, "test", "Extra", "1").await;
    person.submit(form.tick("Add-on").tick("Pro"), "Save as draft").await;
    assert_eq!(person.status_text(), "Draft saved.");
    person.follow("Pro").await;
    person.follow("Delete").await;
    assert!(person.main().contains("Add-ons that name it: Extra."));
    let form = person.form("Delete Pro?");
    let status = person.submit(form, "Delete draft").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().contains("to which the add-on extra may be added"));
    person.visit("/dashboard/test/package/delete?id=pro-2").await;
    let form = person.form("Delete Pro 2026?");
    person.submit(form, "Delete draft").await;
    assert_eq!(person.status_text(), "Draft deleted.");
    assert_eq!(person.visit("/dashboard/test/package?id=pro-2").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn live_asks_for_the_id_before_subscribers_lose_something() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    features(&mut person, "live", &["Calls"]).await;
    let form = new_package(&mut person, "live", "Pro", "10").await;
    person.submit(form, "Save as draft").await;
    publish(&mut person, "Pro").await;
    world.subscribe_live("u-17", "pro").await;

    person.follow("Edit").await;
    assert!(person.main().contains("The package has 1 subscriber."));
    let form = person.form("Edit Pro").fill("Feature 1: Limit", "5");
    person.submit(form, "Review changes").await;
    let form = person.form("Change Pro?");
    let status = person.submit(form, "Publish changes").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem Write pro to confirm.");
    let form = person.form("Change Pro?").fill("Identifier", "pro");
    person.submit(form, "Publish changes").await;
    assert_eq!(person.status_text(), "Changes published.");

    person.follow("Archive").await;
    assert!(person.main().contains("1 subscriber keeps it."));
    let form = person.form("Archive Pro?");
    let status = person.submit(form, "Archive package").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = person.form("Archive Pro?").fill("Identifier", "pro");
    person.submit(form, "Archive package").await;
    assert_eq!(person.status_text(), "Package archived.");
}

#[tokio::test]
async fn a_viewer_sees_packages_and_is_offered_no_change() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    features(&mut editor, "test", &["Calls"]).await;
    let form = new_package(&mut editor, "test", "Pro", "10").await;
    editor.submit(form, "Save as draft").await;
    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/packages?status=all").await;
    assert!(!viewer.has_link("Create a package"));
    assert_eq!(viewer.follow("Pro").await, StatusCode::OK);
    for name in ["Edit", "Publish", "Duplicate", "Delete"] {
        assert!(!viewer.has_link(name), "{name}");
    }
}

#[tokio::test]
async fn pages_stay_small_beside_many_features_and_packages() {
    let world = World::new().await;
    let features: Vec<_> = (0..1000)
        .map(|number| {
            json!({ "id": format!("feature-{number:04}"), "name": format!("Feature {number:04}"),
                "type": "CONSUMABLE" })
        })
        .collect();
    let packages: Vec<_> = (0..100)
        .map(|number| {
            json!({ "id": format!("package-{number:03}"), "name": format!("Package {number:03}"),
                "features": [{ "id": "feature-0001", "limit": number }] })
        })
        .collect();
    let nothing = json!({ "draft": [], "published": [] });
    let configuration = Configuration::read(&json!({
        "app": "Meridian API", "version": "1.0.0", "features": features,
        "packages": { "draft": [], "published": packages }, "addons": nothing,
    }));
    let key = world.keys.test_private.reveal();
    let test = world.kana.authorise_private(key).await.unwrap();
    test.publish(configuration.unwrap(), None).await.unwrap();
    let mut person = world.person(Role::Editor).await;
    for page in
        ["packages", "packages/new", "package?id=package-007", "package/edit?id=package-007"]
    {
        person.visit(&format!("/dashboard/test/{page}")).await;
        assert!(person.bytes() < 100_000, "{page} has {} bytes", person.bytes());
    }
    // Every page of the list, in each order.
    for sort in ["", "name", "subscribers"] {
        person.visit(&format!("/dashboard/test/packages?sort={sort}")).await;
        let mut seen = person.table("Packages").len();
        while person.has_link("Next") {
            person.follow("Next").await;
            seen += person.table("Packages").len();
        }
        assert_eq!(seen, 100, "{sort}");
    }
}
