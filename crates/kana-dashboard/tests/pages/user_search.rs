//! The list of users: searched, filtered by package, in pages.

use axum::http::StatusCode;
use kana_core::Timestamp;
use kana_core::id::{PackageId, UserId};
use kana_core::user::User;
use kana_service::{Environment, Role};

use crate::person::Person;
use crate::users::create;
use crate::world::{World, label, sell};

async fn add(environment: &Environment, id: &str, name: &str, email: &str, billing_id: &str) {
    let optional = |text: &str| (!text.is_empty()).then(|| label(text));
    let user = User {
        name: optional(name),
        email: optional(email),
        billing_id: optional(billing_id),
        ..User::named(UserId::new("id", id).unwrap())
    };
    environment.create_user(user).await.unwrap();
}

async fn subscribe(environment: &Environment, id: &str, package: &str) {
    let (user, package) = (UserId::new("id", id), PackageId::new("package", package));
    environment.subscribe(user.unwrap(), vec![package.unwrap()], None).await.unwrap();
}

/// The ids of the page that is shown.
fn ids(person: &Person) -> Vec<String> {
    person.table("Users").into_iter().map(|row| row[0].clone()).collect()
}

/// The ids of this page and of all that follow.
async fn all_ids(person: &mut Person) -> Vec<String> {
    let mut all = ids(person);
    while person.has_link("Next") {
        person.follow("Next").await;
        assert!(person.has_link("First"));
        all.extend(ids(person));
    }
    all
}

async fn search(person: &mut Person, text: &str) {
    let form = person.form("Search").fill("Search users", text);
    assert_eq!(person.submit(form, "Search").await, StatusCode::OK);
    assert_eq!(person.form("Search").value("Search users"), text.trim());
}

#[tokio::test]
async fn users_are_found_by_the_beginning_of_each_text_whatever_the_case() {
    let world = World::new().await;
    let environment = sell(&world).await;
    add(&environment, "u-1", "Ada Lovelace", "ada@x.example", "cus_1").await;
    add(&environment, "U-2", "Straße", "", "CUS_2").await;
    add(&environment, "100%", "<script>alert(1)</script>", "", "").await;
    subscribe(&environment, "u-1", "pro").await;
    let mut person = world.person(Role::Viewer).await;
    person.follow("Users").await;
    assert_eq!(ids(&person), ["u-1", "U-2", "100%"]);
    for (text, expected) in [
        ("ADA", &["u-1"][..]),
        (" u- ", &["u-1", "U-2"]),
        ("cus_", &["u-1", "U-2"]),
        ("STRASSE", &["U-2"]),
        ("ada@X", &["u-1"]),
        ("100%", &["100%"]),
        ("<SCRIPT", &["100%"]),
    ] {
        search(&mut person, text).await;
        assert_eq!(ids(&person), expected, "{text}");
        assert!(!person.has("main script"));
    }
    search(&mut person, "ada").await;
    let row = ["u-1", "Ada Lovelace", "ada@x.example", "cus_1", "Pro 2026"];
    assert_eq!(person.table("Users"), [row]);
    // Not what only contains it, and nobody of the other environment.
    search(&mut person, "lovelace").await;
    assert!(!person.has("caption"));
    let said = "No user found No id, name, e-mail or billing id begins with “lovelace”.";
    assert!(person.main().contains(said), "{}", person.main());
    person.follow("Show all users").await;
    assert_eq!(ids(&person).len(), 3);
    person.visit("/dashboard/live/users?search=ada").await;
    assert!(person.main().contains("begins with “ada”"));
}

#[tokio::test]
async fn a_long_list_is_read_in_pages_without_a_gap_searched_or_not() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let expected: Vec<String> = (0..120).map(|number| format!("u-{number:03}")).collect();
    for id in &expected {
        add(&environment, id, "", &format!("{id}@x.example"), "").await;
    }
    add(&environment, "other", "", "", "").await;
    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test/users").await;
    assert!(!person.has_link("First"));
    assert_eq!(ids(&person), expected[..50]);
    let everybody = all_ids(&mut person).await;
    assert_eq!(everybody, [expected.clone(), vec!["other".to_owned()]].concat());
    search(&mut person, "U-").await;
    assert_eq!(all_ids(&mut person).await, expected);
    person.follow("First").await;
    assert_eq!(ids(&person), expected[..50]);
    assert_eq!(person.form("Search").value("Search users"), "U-");
    // What no list wrote is no place in one.
    person.visit("/dashboard/test/users?search=u-&after=nonsense").await;
    assert_eq!(ids(&person), expected[..50]);
}

#[tokio::test]
async fn the_subscribers_of_a_package_are_listed_and_the_filter_is_taken_away() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "somebody", "").await;
    person.visit("/dashboard/test/package?id=pro").await;
    person.follow("Subscribers").await;
    assert!(person.main().contains("Nobody has Pro 2026 now."));
    for number in 0..60 {
        let id = format!("u-{number:02}");
        add(&environment, &id, "", "", "").await;
        if number != 7 {
            subscribe(&environment, &id, "pro").await;
        }
    }
    person.visit("/dashboard/test/package?id=pro").await;
    person.follow("Subscribers").await;
    assert!(person.main().contains("Only subscribers of Pro 2026"));
    let subscribers = all_ids(&mut person).await;
    assert_eq!((subscribers.len(), subscribers.contains(&"u-07".to_owned())), (59, false));
    search(&mut person, "u-0").await;
    assert_eq!(ids(&person).len(), 9);
    assert!(person.main().contains("Only subscribers of Pro 2026"));
    search(&mut person, "some").await;
    let said = "Nobody who has Pro 2026 now has an id, name, e-mail or billing id that begins with \
                “some”.";
    assert!(person.main().contains(said), "{}", person.main());
    // The search stays.
    person.follow("Show subscribers of any package").await;
    assert_eq!(ids(&person), ["somebody"]);
    for address in ["test/users?package=absent", "test/users?package=%20", "live/users?package=pro"]
    {
        let status = person.visit(&format!("/dashboard/{address}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{address}");
    }
}

#[tokio::test]
async fn the_list_of_packages_has_numbers_of_the_last_ten_seconds_and_a_package_its_own() {
    let world = World::new().await;
    let environment = sell(&world).await;
    add(&environment, "u-1", "", "", "").await;
    let mut person = world.person(Role::Viewer).await;
    let mut listed = async || {
        person.visit("/dashboard/test/packages").await;
        let row = person.table("Packages").into_iter().find(|row| row[2] == "pro").unwrap();
        row[4].clone()
    };
    assert_eq!(listed().await, "0");
    subscribe(&environment, "u-1", "pro").await;
    world.clock.set(Timestamp::parse("now", "2026-11-29T09:03:22.000Z").unwrap());
    assert_eq!(listed().await, "1");
    person.visit("/dashboard/test/package?id=pro").await;
    assert!(person.main().contains("In use 1 Subscribers"), "{}", person.main());
}
