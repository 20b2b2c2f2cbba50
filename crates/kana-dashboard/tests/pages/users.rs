//! Users: list, create, edit; one user's page with everything that can be done there.

use axum::http::StatusCode;
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::PackageId;
use kana_service::Role;

use crate::person::Person;
use crate::world::{OTHER_NONCE, World, feature_id, label, sell};

/// Creates a user on the page for that.
pub(crate) async fn create(person: &mut Person, id: &str, name: &str) {
    person.visit("/dashboard/test/users/new").await;
    let form = person.form("Create a user").fill("Id", id).fill("Name", name);
    assert_eq!(person.submit(form, "Create user").await, StatusCode::OK);
}

/// Subscribes the user whose page is shown.
pub(crate) async fn subscribe(person: &mut Person, package: &str) {
    let form = person.form("Subscribe").fill("Package", package);
    assert_eq!(person.submit(form, "Subscribe").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Subscribed.");
}

/// Records usage for the user whose page is shown.
async fn record(person: &mut Person, feature: &str, amount: &str, action: &str) -> String {
    let form = person.form("Record usage").fill("Feature", feature).fill("Amount", amount);
    assert_eq!(person.submit(form.tick(action), "Record usage").await, StatusCode::OK);
    person.status_text()
}

async fn check(person: &mut Person, feature: &str, amount: &str) -> String {
    let form = person.form("Check access").fill("Feature", feature).fill("Amount", amount);
    assert_eq!(person.submit(form, "Check").await, StatusCode::OK);
    person.status_text()
}

#[tokio::test]
async fn a_user_is_created_found_changed_and_gets_another_id() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.follow("Users").await;
    assert_eq!(person.title(), "Users · Test · Meridian API");
    assert!(person.main().contains("No users yet"));
    person.follow("Create a user").await;
    let form = person
        .form("Create a user")
        .fill("Id", "/u?1")
        .fill("Name", "ليلى الحداد")
        .fill("E-mail", "Layla@haddad.example")
        .fill("Billing id", "cus_1")
        .fill("Metadata", r#"{"tier": 3}"#);
    assert_eq!(person.submit(form.clone(), "Create user").await, StatusCode::OK);
    assert_eq!(person.status_text(), "User created.");
    assert_eq!(person.heading(), "ليلى الحداد");
    // A second click makes no second user, and is no mistake.
    assert_eq!(person.submit(form.clone(), "Create user").await, StatusCode::OK);
    let status = person.submit(form.forge("nonce", OTHER_NONCE), "Create user").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem A user with the id /u?1 exists already");

    person.visit("/dashboard/test/users").await;
    let row = ["/u?1", "ليلى الحداد", "Layla@haddad.example", "cus_1", "–"];
    assert_eq!(person.table("Users"), [row]);
    person.follow("/u?1").await;
    person.follow("Edit user").await;
    assert_eq!(person.heading(), "Edit /u?1");
    let mut form = person.form("Edit /u?1").fill("Id", "u-1").fill("Name", "");
    assert_eq!(form.value("Metadata"), r#"{"tier":3}"#);
    // A second click finds the user under the new id.
    for _ in 0..2 {
        assert_eq!(person.submit(form.clone(), "Save").await, StatusCode::OK);
        assert_eq!((person.status_text(), person.heading()), ("User saved.".into(), "u-1".into()));
    }
    let other = form.fill("Name", "Somebody else");
    assert_eq!(person.submit(other, "Save").await, StatusCode::NOT_FOUND);
    assert_eq!(person.visit("/dashboard/test/user?id=%2Fu%3F1").await, StatusCode::NOT_FOUND);
}

/// A draft with the name of a published package took the name away from it.
#[tokio::test]
async fn a_name_finds_the_published_package_and_of_several_says_so() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let draft = |id: &str| NewPackage {
        id: PackageId::new("id", id).unwrap(),
        name: Some(label("Pro 2026")),
        is_addon: false,
        features: vec![NewPackageFeature {
            feature: feature_id("sso"),
            name: None,
            allowance: None,
        }],
        base_packages: Vec::new(),
        metadata: None,
    };
    environment.create_package(draft("pro-2")).await.unwrap();
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    subscribe(&mut person, "Pro 2026").await;
    assert_eq!(person.table("Subscriptions").len(), 1);
    environment.publish_package(PackageId::new("id", "pro-2").unwrap()).await.unwrap();
    create(&mut person, "u-2", "").await;
    let form = person.form("Subscribe").fill("Package", "Pro 2026");
    assert_eq!(person.submit(form, "Subscribe").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().ends_with("Is the name of several: write the identifier."));
}

#[tokio::test]
async fn a_form_of_usage_that_was_sent_is_not_sent_with_other_usage() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    subscribe(&mut person, "pro").await;
    let form = person.form("Record usage").fill("Feature", "api-calls").tick("Add");
    for amount in ["1", "1"] {
        let form = form.clone().fill("Amount", amount);
        assert_eq!(person.submit(form, "Record usage").await, StatusCode::OK);
    }
    assert_eq!(person.table("Entitlements")[0][2], "1");
    let form = form.fill("Amount", "2");
    assert_eq!(person.submit(form, "Record usage").await, StatusCode::CONFLICT);
    assert!(person.alert().contains("This form was sent before."));
}

#[tokio::test]
async fn what_somebody_else_changed_meanwhile_stays() {
    let world = World::new().await;
    let mut one = world.person(Role::Editor).await;
    create(&mut one, "u-1", "Ada").await;
    one.follow("Edit user").await;
    let mine = one.form("Edit u-1").fill("Name", "Ada Lovelace");
    let mut other = world.person(Role::Owner).await;
    other.visit("/dashboard/test/user/edit?id=u-1").await;
    let theirs = other.form("Edit u-1").fill("E-mail", "ada@x.example");
    other.submit(theirs, "Save").await;
    one.submit(mine, "Save").await;
    assert_eq!(one.heading(), "Ada Lovelace");
    assert!(one.main().contains("ada@x.example"));
}

#[tokio::test]
async fn what_is_wrong_with_a_user_is_said_at_its_field_and_kept() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/users/new").await;
    let form = person
        .form("Create a user")
        .fill("Id", " spaced ")
        .fill("Name", "<script>alert(1)</script>")
        .fill("Metadata", "[1]");
    let status = person.submit(form, "Create user").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        person.alert(),
        "There is a problem Id: Must not start or end with a space. Metadata: Must be a JSON object."
    );
    let mut form = person.form("Create a user");
    assert_eq!(form.value("Name"), "<script>alert(1)</script>");
    assert!(person.has("#f-id[aria-invalid=true]") && person.has("#f-metadata[aria-invalid=true]"));
    assert!(!person.has("main script"));
}

#[tokio::test]
async fn a_user_subscribes_uses_and_cancels() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    assert!(person.main().contains("No subscription yet"));
    let none = "Nothing grants this feature to the user.";
    assert_eq!(check(&mut person, "API calls", "1").await, format!("No. {none}"));
    person.visit("/dashboard/test/user?id=u-1").await;
    subscribe(&mut person, "Pro 2026").await;
    subscribe(&mut person, "more-seats").await;
    let started = "2026-11-29 09:03:11 UTC";
    assert_eq!(
        person.table("Subscriptions"),
        [
            ["More seats", "Active", started, "–", "Change More seats Cancel More seats"],
            ["Pro 2026", "Active", started, "–", "Change Pro 2026 Cancel Pro 2026"],
        ]
    );
    assert_eq!(record(&mut person, "api-calls", "600", "Add").await, "Usage recorded.");
    assert!(!person.main().contains("over the limit by now"));
    assert_eq!(person.form("Record usage").value("Feature"), "api-calls");
    assert_eq!(record(&mut person, "Seats", "30", "Set").await, "Usage recorded.");
    assert!(person.main().contains("The user is over the limit by now."));
    let within = "The usage is within the user's budget.";
    let reached = "The usage would go over the user's budget.";
    let granted = "The user has this feature.";
    assert_eq!(
        person.table("Entitlements"),
        [
            [
                "API calls",
                "Yes",
                "600",
                "1,000",
                "2026-12-29 09:03:11 UTC",
                within,
                "Explain API calls"
            ],
            ["Seats", "No", "30", "25", "Never", reached, "Explain Seats"],
            ["Single sign-on", "Yes", "–", "–", "–", granted, "Explain Single sign-on"],
            ["Storage", "No", "–", "–", "–", none, "Explain Storage"],
        ]
    );
    assert!(person.has("svg[role=img][aria-label='600 of 1,000 used']"));
    assert!(person.has("svg.meter.bad[aria-label='30 of 25 used']"));
    assert_eq!(check(&mut person, "api-calls", "400").await, format!("Yes. {within}"));
    assert_eq!(check(&mut person, "api-calls", "401").await, format!("No. {reached}"));
    assert_eq!(
        record(&mut person, "Storage", "1", "Add").await,
        "Not recorded: Nothing granted this feature to the user at that time: \
         the event is kept and not counted."
    );

    person.follow("Cancel Pro 2026").await;
    assert_eq!(person.heading(), "Cancel the subscription?");
    assert!(person.main().contains("u-1 loses what Pro 2026 grants, at once."));
    assert!(person.main().contains("The user’s add-ons end with it: More seats."));
    let form = person.form("Cancel the subscription?");
    person.submit(form, "Cancel subscription").await;
    assert_eq!(person.status_text(), "Subscription cancelled.");
    let rows = person.table("Subscriptions");
    assert!(rows.iter().all(|row| row[1] == "Cancelled" && row[4].is_empty()), "{rows:?}");
}

#[tokio::test]
async fn a_second_click_records_nothing_more() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    subscribe(&mut person, "pro").await;
    let form = person.form("Record usage").fill("Feature", "api-calls").fill("Amount", "1,000");
    for _ in 0..2 {
        person.submit(form.clone(), "Record usage").await;
        assert_eq!(person.status_text(), "Usage recorded.");
        assert_eq!(person.table("Entitlements")[0][2], "1,000");
    }
}

#[tokio::test]
async fn usage_by_period_is_drawn_and_written_with_the_same_numbers() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    let form = person
        .form("Subscribe")
        .fill("Package", "pro")
        .fill("Started at", "2026-10-02 08:15:00 UTC");
    person.submit(form, "Subscribe").await;
    record(&mut person, "api-calls", "1234", "Set").await;
    let name = "API calls by period, 2026-10-02 to 2026-11-02, 1,234 in all, budget 1,000";
    assert!(person.has(&format!("svg[role=img][aria-label={name:?}]")));
    let rows = [["2026-10-02 08:15:00 UTC", "0"], ["2026-11-02 08:15:00 UTC", "1,234"]];
    assert_eq!(person.table("API calls by period"), rows);
    let form = person.form("Usage by period").fill("Feature", "Storage");
    person.submit(form, "Show").await;
    assert!(person.main().contains("There is no period of usage to show"));
    let form = person.form("Usage by period").fill("Feature", "absent");
    assert_eq!(person.submit(form, "Show").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem Feature not found: absent");
}

#[tokio::test]
async fn what_is_wrong_with_a_form_of_the_page_is_said_in_it_and_kept() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    let page = "/dashboard/test/user?id=u-1";
    for (form, field, value, button, alert) in [
        ("Check access", "Feature", "absent", "Check", "Feature not found: absent"),
        ("Check access", "Amount", "-1", "Check", "Must not be negative here."),
        ("Record usage", "Feature", "absent", "Record usage", "Feature not found: absent"),
        ("Subscribe", "Package", "absent", "Subscribe", "Package Id not found for app"),
        (
            "Subscribe",
            "Started at",
            "2027-01-01T00:00:00Z",
            "Subscribe",
            "Must not be in the future.",
        ),
    ] {
        person.visit(page).await;
        let (feature, package) = match form {
            "Subscribe" => (None, Some("pro")),
            _ => (Some("api-calls"), None),
        };
        let mut filled = person.form(form);
        if let Some(feature) = feature {
            filled = filled.fill("Feature", feature);
        }
        if let Some(package) = package {
            filled = filled.fill("Package", package);
        }
        let status = person.submit(filled.fill(field, value), button).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{form} {field}");
        assert_eq!(person.alert(), format!("There is a problem {alert}"));
        assert_eq!(person.form(form).value(field), value);
        assert!(person.has("[aria-invalid=true]"), "{form} {field}");
    }
}

#[tokio::test]
async fn a_viewer_may_check_access_and_is_offered_no_change() {
    let world = World::new().await;
    sell(&world).await;
    let mut editor = world.person(Role::Editor).await;
    create(&mut editor, "u-1", "").await;
    subscribe(&mut editor, "pro").await;
    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/users").await;
    assert!(!viewer.has_link("Create a user"));
    viewer.follow("u-1").await;
    assert!(!viewer.has_link("Edit user") && !viewer.has_link("Cancel Pro 2026"));
    assert!(!viewer.has("form[aria-label='Record usage'], form[aria-label=Subscribe]"));
    let granted = "The user has this feature.";
    assert_eq!(check(&mut viewer, "sso", "1").await, format!("Yes. {granted}"));
    // The other environment has nothing of the user.
    assert_eq!(viewer.visit("/dashboard/live/user?id=u-1").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_subscription_of_another_user_is_not_cancelled() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-2", "").await;
    create(&mut person, "u-1", "").await;
    subscribe(&mut person, "pro").await;
    let address = person.link("Cancel Pro 2026").replace("u-1", "u-2");
    assert_eq!(person.visit(&address).await, StatusCode::NOT_FOUND);
}
